"""Mantid algorithm InvertForceConstants: a folded measurement to force constants with their uncertainty."""

import os

from mantid.api import (
    AlgorithmFactory,
    DataProcessorAlgorithm,
    FileAction,
    FileProperty,
    IMDHistoWorkspaceProperty,
    ITableWorkspaceProperty,
    MatrixWorkspaceProperty,
    Progress,
    PropertyMode,
    WorkspaceFactory,
)
from mantid.kernel import (
    Direction,
    EnabledWhenProperty,
    FloatArrayProperty,
    FloatBoundedValidator,
    IntBoundedValidator,
    Property,
    PropertyCriterion,
    StringListValidator,
    StringMandatoryValidator,
)

MISSING_PACKAGE = (
    "InvertForceConstants needs a Python package that is not there ({}): run "
    "`python -m pip install -c constraints-mantid.txt .` in a clone of fcinv with the Python of Mantid, and start "
    "Mantid again."
)
#: Where on the progress bar, of 1000 steps, the work lies, and steps of it after which that part is half full.
_WORK, _TYPICAL = (60, 850), 300
#: Where on it single runs begin, if they are inverted too.
_PER_RUN = 250


class InvertForceConstants(DataProcessorAlgorithm):
    def category(self):
        return "Inelastic\\ForceConstants;MDAlgorithms"

    def summary(self):
        return (
            "Finds the force constants that a folded measurement says a crystal has, with their uncertainty: a "
            "trained network gives a first answer, and a refinement through the lattice dynamics the final one."
        )

    def seeAlso(self):
        return ["FoldToIQE", "PlanOrientations", "SimulateDispersion", "TrainFCInversion"]

    def PyInit(self):
        self._declare_inputs()
        self._declare_method()
        self._declare_measurement()
        self._declare_outputs()

    def _declare_inputs(self):
        self.declareProperty(
            IMDHistoWorkspaceProperty("InputWorkspace", "", Direction.Input),
            "OutputWorkspace of FoldToIQE. Its sample logs hold data and exposure of every zone class.",
        )
        self.declareProperty(
            "Model",
            "",
            validator=StringMandatoryValidator(),
            doc="Trained model of the crystal: the folder that TrainFCInversion wrote, or the name of one that "
            "comes with fcinv, such as ge.",
        )
        self.declareProperty(
            IMDHistoWorkspaceProperty("ZoneWorkspace", "", Direction.Input, PropertyMode.Optional),
            "The same measurement over the irreducible zone, OutputWorkspace of FoldToIQE with Grid: the "
            "refinement uses it in place of the path, and with it all counts.",
        )

    def _declare_method(self):
        self.declareProperty(
            "Method",
            "refine",
            validator=StringListValidator(["refine", "network", "fit"]),
            doc="refine: the network, then refinement of its answer. network: the network alone. fit: refinement "
            "from the prior, without the network.",
        )
        self.declareProperty(
            "Amplitudes",
            "auto",
            validator=StringListValidator(["auto", "free", "unit", "coherent"]),
            doc="Weights of the modes in the refinement. free: each an unknown. coherent: one-phonon structure "
            "factors. unit: all alike, as in simulated spectra. auto: free where there are thirty counts for each "
            "mode of each point of the path, coherent below and over the zone.",
        )
        self.declareProperty(
            "NumberOfDraws", 300, validator=IntBoundedValidator(lower=2), doc="Draws from the posterior."
        )
        self.declareProperty(
            "Seed", 0, validator=IntBoundedValidator(lower=0), doc="The same seed gives the same result."
        )
        self.declareProperty(
            "PerRun",
            False,
            doc="Invert each run alone too, and the first 2, 4, 8 ... together, on all cores; with ZoneWorkspace "
            "over the zone. ResultFolder and OutputPerRunWorkspace hold what comes out.",
        )
        for name in ("ZoneWorkspace", "Amplitudes"):
            self.setPropertySettings(name, self._refining())
        for name in ("Method", "Amplitudes", "NumberOfDraws", "Seed", "PerRun"):
            self.setPropertyGroup(name, "Method")

    def _declare_measurement(self):
        positive = FloatBoundedValidator(lower=0.0)
        self.declareProperty(
            "Temperature",
            Property.EMPTY_DBL,
            validator=positive,
            doc="Temperature of the sample, K. Default: that of the runs.",
        )
        self.declareProperty(
            FloatArrayProperty("EnergyWindow", []), "Energies that take part, meV: min,max. Default: all."
        )
        self.declareProperty(
            "ElasticCut",
            Property.EMPTY_DBL,
            validator=positive,
            doc="Energies nearer to zero than this are left out of the refinement, meV. Default: three FWHM of the "
            "elastic line.",
        )
        self.declareProperty(
            "Instrument",
            "",
            doc="Spectrometer from which the expected resolution follows, such as ARCS. Default: a typical one of "
            "direct geometry.",
        )
        self.declareProperty(
            FloatArrayProperty("ResolutionFWHM", []),
            "Expected energy resolution c0,c1,c2..., in place of an instrument: FWHM(E) = c0 + c1 E + c2 E^2 ..., "
            "meV. Width and slope are refined.",
        )
        for name in ("ElasticCut", "Instrument", "ResolutionFWHM"):
            self.setPropertySettings(name, self._refining())
        for name in ("Temperature", "EnergyWindow", "ElasticCut", "Instrument", "ResolutionFWHM"):
            self.setPropertyGroup(name, "Measurement")

    def _declare_outputs(self):
        self.declareProperty(
            FileProperty("ResultFolder", "", FileAction.OptionalDirectory),
            "Folder for report.html, result.json, posterior.h5, phonopy_params.yaml and, with PerRun, per_run.csv "
            "and per_run.json; it appears whole or not at all. Default: nothing is written.",
        )
        self.declareProperty(
            ITableWorkspaceProperty("OutputWorkspace", "", Direction.Output),
            "All force constants, by falling magnitude in the prior: value and error (eV/Angstrom^2), who decided "
            "them, and what prior and network say. SimulateDispersion takes it as it is.",
        )
        self.declareProperty(
            MatrixWorkspaceProperty("OutputDispersionWorkspace", "", Direction.Output, PropertyMode.Optional),
            "Energies (meV; imaginary ones negative) over the distance along the path, a spectrum for each branch, "
            "with their standard deviations.",
        )
        self.declareProperty(
            IMDHistoWorkspaceProperty("OutputFittedWorkspace", "", Direction.Output, PropertyMode.Optional),
            "I(q,E) of the refinement over the axes of InputWorkspace. NaN where nothing was fitted.",
        )
        self.declareProperty(
            IMDHistoWorkspaceProperty("OutputReconstructedWorkspace", "", Direction.Output, PropertyMode.Optional),
            "Clean I(q,E), every mode of weight 1, that the network takes the measurement for, over its own axes.",
        )
        self.declareProperty(
            ITableWorkspaceProperty("OutputPosteriorWorkspace", "", Direction.Output, PropertyMode.Optional),
            "Equally likely sets of force constants, eV/Angstrom^2: a row for each draw, a column for each force "
            "constant.",
        )
        self.declareProperty(
            ITableWorkspaceProperty("OutputPerRunWorkspace", "", Direction.Output, PropertyMode.Optional),
            "What each run says alone: angle of the goniometer from the first run (degrees), counts, root mean "
            "square difference of mode energies from the answer of all runs, and the error that its own posterior "
            "expects (meV).",
        )
        self.setPropertySettings("OutputFittedWorkspace", self._refining())
        self.setPropertySettings(
            "OutputReconstructedWorkspace",
            EnabledWhenProperty("Method", PropertyCriterion.IsNotEqualTo, "fit"),
        )
        self.setPropertySettings(
            "OutputPerRunWorkspace", EnabledWhenProperty("PerRun", PropertyCriterion.IsNotDefault)
        )

    @staticmethod
    def _refining():
        return EnabledWhenProperty("Method", PropertyCriterion.IsNotEqualTo, "network")

    def validateInputs(self):
        try:
            from fcinv_core.mantid_adapter.inversion_request import inversion_problems
        except ImportError as error:
            return {"InputWorkspace": MISSING_PACKAGE.format(error)}
        return inversion_problems(self)

    def PyExec(self):
        try:
            self._invert()
        except ImportError as error:
            raise RuntimeError(MISSING_PACKAGE.format(error)) from error

    def _invert(self):
        from fcinv_core.inversion.invert import invert
        from fcinv_core.inversion.per_run import invert_per_run
        from fcinv_core.inversion.results import write_result
        from fcinv_core.mantid_adapter.inversion_request import read_inversion_request
        from fcinv_core.mantid_adapter.progress_bars import Steps

        progress = Progress(self, 0.0, 1.0, 1000)
        progress.report(0, "Reading the measurement and the model")
        request = read_inversion_request(self)
        steps = Steps(progress, _WORK[0], _PER_RUN if request.per_run else _WORK[1], _TYPICAL)
        inversion = invert(
            request.folded,
            request.keep,
            request.model,
            request.settings,
            provenance=request.provenance,
            zone=request.zone,
            say=steps.begin,
            between=steps.step,
        )
        per_run = None
        if request.per_run:
            steps = Steps(progress, _PER_RUN, _WORK[1], _TYPICAL)
            per_run = invert_per_run(
                inversion,
                request.model,
                request.settings,
                threads=os.cpu_count() or 1,
                say=steps.begin,
                between=steps.step,
            )
        if request.result_folder is not None:
            steps.begin("Writing the report")
            write_result(inversion, request.result_folder, steps.step, per_run)
        progress.report(_WORK[1], "Making workspaces")
        self._set_outputs(inversion, per_run, request.model, progress)
        self._log_verdict(inversion)
        progress.report(1000, "Done")

    def _set_outputs(self, inversion, per_run, model, progress):
        from fcinv_core.inversion.spectra import fitted_histogram, reconstructed_histogram
        from fcinv_core.mantid_adapter.histograms import histogram_workspace
        from fcinv_core.mantid_adapter.inversion_request import (
            force_constant_columns,
            per_run_columns,
            posterior_columns,
        )
        from fcinv_core.mantid_adapter.tables import dispersion_workspace, fill_table
        from fcinv_core.nexus import write_mdhisto

        def table(columns):
            return fill_table(WorkspaceFactory.createTable(), columns)

        def histogram(histo):
            return histogram_workspace(self, lambda file: write_mdhisto(file, histo, inversion.crystal))

        def dispersion():
            energies = inversion.derived.energies
            return dispersion_workspace(self, inversion.path, energies.value, energies.sigma)

        self.setProperty("OutputWorkspace", table(force_constant_columns(inversion)))
        optional = {
            "OutputDispersionWorkspace": dispersion,
            "OutputFittedWorkspace": lambda: histogram(fitted_histogram(inversion)),
            "OutputReconstructedWorkspace": lambda: histogram(reconstructed_histogram(inversion, model)),
            "OutputPosteriorWorkspace": lambda: table(posterior_columns(inversion)),
            "OutputPerRunWorkspace": lambda: table(per_run_columns(per_run)),
        }
        for k, (name, make) in enumerate(optional.items()):
            # A name is needed: an optional output that has none cannot be stored.
            if self.getPropertyValue(name):
                progress.report(_WORK[1] + 25 * (k + 1), f"Making {name}")
                self.setProperty(name, make())

    def _log_verdict(self, inversion):
        from fcinv_core.verdict import Status

        for status, sentence in (
            (inversion.status, inversion.headline),
            *((one.status, one.sentence) for one in inversion.findings),
        ):
            (self.log().notice if status is Status.OK else self.log().warning)(sentence)


AlgorithmFactory.subscribe(InvertForceConstants)
