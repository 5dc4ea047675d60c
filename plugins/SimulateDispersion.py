"""Mantid algorithm SimulateDispersion: force constants to a dispersion and its spectra."""

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
)
from mantid.kernel import (
    Direction,
    EnabledWhenProperty,
    FloatArrayProperty,
    FloatBoundedValidator,
    IntArrayProperty,
    Property,
    PropertyCriterion,
)

MISSING_PACKAGE = (
    "SimulateDispersion needs a Python package that is not there ({}): run "
    "`python -m pip install -c constraints-mantid.txt .` in a clone of fcinv with the Python of Mantid, and start "
    "Mantid again."
)


class SimulateDispersion(DataProcessorAlgorithm):
    def category(self):
        return "Inelastic\\ForceConstants;MDAlgorithms"

    def summary(self):
        return (
            "Computes the phonon dispersion of a set of force constants, its spectrum I(q,E), and the scattering "
            "that it would give on the coverage of a folded measurement."
        )

    def seeAlso(self):
        return ["FoldToIQE", "InvertForceConstants", "GenerateFCTrainingSet"]

    def PyInit(self):
        self._declare_force_constants()
        self._declare_bins()
        self._declare_coverage()
        self._declare_outputs()

    def _declare_force_constants(self):
        self.declareProperty(
            ITableWorkspaceProperty("ForceConstantsTable", "", Direction.Input, PropertyMode.Optional),
            "Force constants by label, with the columns Label and Value (eV/Angstrom^2), all of the crystal's; or "
            "give ForceConstantsFile.",
        )
        self.declareProperty(
            FileProperty("ForceConstantsFile", "", FileAction.OptionalLoad),
            "Force constants in any of phonopy's forms: phonopy_params.yaml, FORCE_CONSTANTS, force_constants.hdf5 "
            "or FORCE_SETS.",
        )
        self.declareProperty(
            FileProperty("StructureFile", "", FileAction.OptionalLoad),
            "Structure of the crystal: POSCAR, CIF or phonopy yaml. Mandatory unless ForceConstantsFile is a "
            "phonopy yaml; for the forms that hold no cell it must be the cell they were computed for.",
        )
        self.declareProperty(
            IntArrayProperty("Supercell", []),
            "Phonopy's DIM for the cell of StructureFile, 3 or 9 integers, where the file does not say it and it "
            "is not n,n,n.",
        )
        self.declareProperty(
            FileProperty("BornFile", "", FileAction.OptionalLoad),
            "Born charges and dielectric tensor of a polar crystal. Default: a file BORN beside "
            "ForceConstantsFile.",
        )
        for name in ("ForceConstantsFile", "Supercell", "BornFile"):
            self.setPropertySettings(name, EnabledWhenProperty("ForceConstantsTable", PropertyCriterion.IsDefault))
        names = ("ForceConstantsTable", "ForceConstantsFile", "StructureFile", "Supercell", "BornFile")
        for name in names:
            self.setPropertyGroup(name, "Crystal and force constants")

    def _declare_bins(self):
        self.declareProperty(
            "Path",
            "",
            doc="Path through the Brillouin zone. Empty: the standard path of the crystal (Hinuma 2017). Labels "
            "such as G-X-U|K-G, with a bar at a break. Or JSON, or the name of a .json file: "
            '[[["G", [0, 0, 0]], ["X", [0.5, 0, 0.5]]]] with q in fractions of the primitive reciprocal basis.',
        )
        self.declareProperty(
            "QStep",
            0.025,
            validator=FloatBoundedValidator(lower=0.0, exclusive=True),
            doc="Distance of points along the path, 1/Angstrom, approximately.",
        )
        self.declareProperty(
            FloatArrayProperty("EnergyBinning", []),
            "Energy bins of I(q,E), meV: min,step,max. Default: 100 bins from 0 to a little above the highest "
            "mode.",
        )
        self.declareProperty(
            FloatArrayProperty("ResolutionFWHM", []),
            "Energy resolution c0,c1,c2...: FWHM(E) = c0 + c1 E + c2 E^2 ..., meV. "
            "Default: 3 % of the highest energy of the bins.",
        )
        for name in ("Path", "QStep", "EnergyBinning", "ResolutionFWHM"):
            self.setPropertyGroup(name, "Path and bins")

    def _declare_coverage(self):
        self.declareProperty(
            IMDHistoWorkspaceProperty("CoverageWorkspace", "", Direction.Input, PropertyMode.Optional),
            "OutputWorkspace of FoldToIQE: what was measured, on whose coverage coherent one-phonon scattering is "
            "summed as it was there.",
        )
        self.declareProperty(
            "Temperature",
            Property.EMPTY_DBL,
            validator=FloatBoundedValidator(lower=0.0),
            doc="Temperature of the sample, K, for scattering on a coverage. Default: that of the measurement.",
        )
        measured = EnabledWhenProperty("CoverageWorkspace", PropertyCriterion.IsNotDefault)
        self.setPropertySettings("Temperature", measured)
        for name in ("CoverageWorkspace", "Temperature"):
            self.setPropertyGroup(name, "Coverage of a measurement")

    def _declare_outputs(self):
        self.declareProperty(
            MatrixWorkspaceProperty("OutputWorkspace", "", Direction.Output),
            "Energies (meV; imaginary ones negative) over the distance along the path, a spectrum for each branch.",
        )
        self.declareProperty(
            IMDHistoWorkspaceProperty("OutputSpectrumWorkspace", "", Direction.Output, PropertyMode.Optional),
            "I(q,E) over (path point, energy transfer), every mode of weight 1.",
        )
        self.declareProperty(
            IMDHistoWorkspaceProperty("OutputCoverageWorkspace", "", Direction.Output, PropertyMode.Optional),
            "Coherent one-phonon scattering on the coverage of CoverageWorkspace, over its axes, mb/sr/meV per "
            "atom.",
        )
        self.setPropertySettings(
            "OutputCoverageWorkspace", EnabledWhenProperty("CoverageWorkspace", PropertyCriterion.IsNotDefault)
        )

    def validateInputs(self):
        try:
            from fcinv_core.mantid_adapter.simulation_request import simulation_problems
        except ImportError as error:
            return {"OutputWorkspace": MISSING_PACKAGE.format(error)}
        return simulation_problems(self)

    def PyExec(self):
        try:
            self._simulate()
        except ImportError as error:
            raise RuntimeError(MISSING_PACKAGE.format(error)) from error

    def _simulate(self):
        from fcinv_core.coverage_simulation import coherent_on_coverage, coverage_histogram
        from fcinv_core.mantid_adapter.histograms import histogram_workspace
        from fcinv_core.mantid_adapter.simulation_request import read_coverage_request, read_simulation_request
        from fcinv_core.mantid_adapter.tables import dispersion_workspace
        from fcinv_core.nexus import write_mdhisto
        from fcinv_core.simulation import simulate, summarise, to_mdhisto

        progress = Progress(self, 0.0, 1.0, 1000)
        progress.report(0, "Reading force constants")
        request = read_simulation_request(self)
        crystal, grid = request.force_constants.crystal, request.grid
        progress.report(200, "Solving for the modes")
        bins = {} if grid is None else {"energy_range": (grid.minimum, grid.maximum), "n_bins": grid.n_bins}
        simulation = simulate(request.force_constants, request.path, resolution=request.resolution, **bins)
        for line in summarise(simulation).splitlines():
            self.log().notice(line)
        self.setProperty("OutputWorkspace", dispersion_workspace(self, simulation.path, simulation.energies))
        progress.report(400, "Making I(q,E)")
        # A name is needed: an optional output that has none cannot be stored.
        if self.getPropertyValue("OutputSpectrumWorkspace"):
            spectrum = histogram_workspace(self, lambda file: write_mdhisto(file, to_mdhisto(simulation), crystal))
            self.setProperty("OutputSpectrumWorkspace", spectrum)

        progress.report(500, "Reading the measurement")
        measured = read_coverage_request(self)
        if measured is not None:
            intensity = coherent_on_coverage(
                measured.folded,
                request.force_constants,
                measured.temperature,
                simulation.resolution,
                keep=measured.keep,
                progress=lambda done, total: progress.report(
                    500 + 450 * done // total, "Scattering on the coverage"
                ),
            )
            histo = coverage_histogram(
                measured.folded, intensity, request.force_constants, measured.temperature, simulation.resolution
            )
            self.setProperty(
                "OutputCoverageWorkspace",
                histogram_workspace(self, lambda file: write_mdhisto(file, histo, measured.folded.bins.crystal)),
            )
        progress.report(1000, "Done")


AlgorithmFactory.subscribe(SimulateDispersion)
