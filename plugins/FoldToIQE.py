"""Mantid algorithm FoldToIQE: events of a single crystal to I(q, E) in one Brillouin zone."""

from mantid.api import (
    AlgorithmFactory,
    DataProcessorAlgorithm,
    FileAction,
    FileProperty,
    IMDEventWorkspaceProperty,
    IMDHistoWorkspaceProperty,
    MatrixWorkspaceProperty,
    Progress,
    PropertyMode,
)
from mantid.kernel import (
    Direction,
    EnabledWhenProperty,
    FloatArrayProperty,
    FloatBoundedValidator,
    Property,
    PropertyCriterion,
    StringListValidator,
)

MISSING_PACKAGE = (
    "FoldToIQE needs a Python package that is not there ({}): run "
    "`python -m pip install -c constraints-mantid.txt .` in a clone of fcinv with the Python of Mantid, and start "
    "Mantid again."
)
#: Steps of the progress bar, and where on it events and exposure are folded.
_STEPS = 1000
_STAGES = {"events": (100, 500), "exposure": (500, 860)}
#: Outputs by zone class. An optional output that is given no name cannot be stored.
_BY_CLASS = ("OutputDataWorkspace", "OutputNormalizationWorkspace")


class FoldToIQE(DataProcessorAlgorithm):
    def category(self):
        return "Inelastic\\ForceConstants;MDAlgorithms"

    def summary(self):
        return (
            "Folds single-crystal inelastic events into one Brillouin zone: I(q,E) along a path or over the "
            "irreducible zone, with data and normalisation of every class of equivalent zones."
        )

    def seeAlso(self):
        return ["ConvertToMD", "MergeMD", "MDNormDirectSC", "InvertForceConstants", "SimulateDispersion"]

    def PyInit(self):
        self._declare_inputs()
        self._declare_bins()
        self._declare_corrections()
        self._declare_earlier_result()
        self._declare_outputs()

    def _declare_inputs(self):
        self.declareProperty(
            IMDEventWorkspaceProperty("InputWorkspace", "", Direction.Input),
            "Events of one or several runs in Q_sample, Q_lab or HKL with energy transfer, as ConvertToMD and "
            "MergeMD make them; each run with its UB matrix, goniometer and incident energy.",
        )
        self.declareProperty(
            IMDEventWorkspaceProperty("BackgroundWorkspace", "", Direction.Input, PropertyMode.Optional),
            "Events of a background that stands still in the laboratory (empty can, cryostat). It is turned with "
            "every run, normalised in the same way, and subtracted from OutputWorkspace.",
        )
        self.declareProperty(
            MatrixWorkspaceProperty("SolidAngleWorkspace", "", Direction.Input, PropertyMode.Optional),
            "Solid angle times efficiency of each detector: a vanadium run, one value a spectrum. "
            "Geometric solid angles are used if it is left out.",
        )
        self.declareProperty(
            FileProperty("StructureFile", "", FileAction.OptionalLoad),
            "Structure of the crystal: POSCAR, CIF or phonopy yaml, any cell of it. Mandatory unless the sample of "
            "InputWorkspace carries a crystal structure, which SaveMD drops.",
        )
        self.declareProperty(
            "SpaceGroup",
            "",
            doc="Symbol of the space group or point group by which Q is folded, such as F d -3 m. "
            "Default: the Laue class of the structure.",
        )
        self.declareProperty(
            "SymmetryOperations",
            "",
            doc="Operations by which Q is folded, separated by semicolons, such as x,y,z;-x,-y,z, in place of a "
            "space group. They must form a group.",
        )
        self.setPropertySettings(
            "SymmetryOperations", EnabledWhenProperty("SpaceGroup", PropertyCriterion.IsDefault)
        )
        for name in ("StructureFile", "SpaceGroup", "SymmetryOperations"):
            self.setPropertyGroup(name, "Crystal")

    def _declare_bins(self):
        positive = FloatBoundedValidator(lower=0.0, exclusive=True)
        self.declareProperty(
            "Path",
            "",
            doc="Path through the Brillouin zone. Empty: the standard path of the crystal (Hinuma 2017). Labels "
            "such as G-X-U|K-G, with a bar at a break. Or JSON, or the name of a .json file: "
            '[[["G", [0, 0, 0]], ["X", [0.5, 0, 0.5]]]] with q in fractions of the primitive reciprocal basis.',
        )
        self.declareProperty(
            "QStep", 0.05, validator=positive, doc="Distance of points along the path, 1/Angstrom, approximately."
        )
        self.declareProperty(
            FloatArrayProperty("TransverseWidths", [0.1]),
            "Full widths of the bins across the path, 1/Angstrom: one number, or one for each transverse "
            "direction.",
        )
        self.declareProperty(
            "Grid",
            Property.EMPTY_INT,
            doc="Fold into the irreducible zone, and not on a path: divisions of each primitive reciprocal basis "
            "vector, 1 to 48, such as 10. The result is a ZoneWorkspace for InvertForceConstants.",
        )
        self.declareProperty(
            FloatArrayProperty("EnergyBinning", []),
            "Energy bins, meV: min,step,max, or step alone. Default: what all runs cover, in the bins of the "
            "reduction, or in 100 bins where events were not histogrammed.",
        )
        self.declareProperty(
            "BrillouinZones",
            "",
            doc="Zones to sum, separated by semicolons, such as 2,2,0;3,1,1: the zone centre that stands for a "
            "class of equivalent ones. Default: all.",
        )
        self.declareProperty(
            "MinimumCoverage",
            0.0,
            validator=FloatBoundedValidator(lower=0.0),
            doc="Cells with less exposure are left out of OutputWorkspace, as a share of the median exposure of "
            "all covered cells.",
        )
        along_path = ("Path", "QStep", "TransverseWidths")
        for name in along_path:
            self.setPropertySettings(name, EnabledWhenProperty("Grid", PropertyCriterion.IsDefault))
        for name in (*along_path, "Grid", "EnergyBinning", "BrillouinZones", "MinimumCoverage"):
            self.setPropertyGroup(name, "Bins")

    def _declare_corrections(self):
        self.declareProperty(
            "BoseCorrection",
            "None",
            validator=StringListValidator(["None", "Chi", "SED"]),
            doc="Chi multiplies by 1 - exp(-E/kT) and gives the dynamic susceptibility, SED by E in addition. "
            "InvertForceConstants expects None.",
        )
        self.declareProperty(
            "Temperature",
            Property.EMPTY_DBL,
            validator=FloatBoundedValidator(lower=0.0),
            doc="Temperature of the sample, K: for the Bose correction, and for what is computed from the result "
            "later. Default: from the logs of each run.",
        )
        self.declareProperty(
            "PerRun",
            True,
            doc="Keep the sums of every run apart, so that orientations can be looked at one by one. "
            "Otherwise they are added up, in less memory.",
        )
        for name in ("BoseCorrection", "Temperature", "PerRun"):
            self.setPropertyGroup(name, "Corrections")

    def _declare_earlier_result(self):
        earlier = "of an earlier fold with the same settings, to which these runs are added; adding is exact."
        self.declareProperty(
            IMDHistoWorkspaceProperty("TemporaryDataWorkspace", "", Direction.Input, PropertyMode.Optional),
            f"OutputDataWorkspace {earlier}",
        )
        self.declareProperty(
            IMDHistoWorkspaceProperty(
                "TemporaryNormalizationWorkspace", "", Direction.Input, PropertyMode.Optional
            ),
            f"OutputNormalizationWorkspace {earlier}",
        )
        self.setPropertySettings(
            "TemporaryNormalizationWorkspace",
            EnabledWhenProperty("TemporaryDataWorkspace", PropertyCriterion.IsNotDefault),
        )
        for name in ("TemporaryDataWorkspace", "TemporaryNormalizationWorkspace"):
            self.setPropertyGroup(name, "Add to an earlier result")

    def _declare_outputs(self):
        self.declareProperty(
            IMDHistoWorkspaceProperty("OutputWorkspace", "", Direction.Output),
            "I(q,E) over (path point, or irreducible q-point with Grid; energy transfer in meV). NaN where nothing "
            "was measured. Its sample logs hold path or grid, zone classes and the sums of every run.",
        )
        self.declareProperty(
            IMDHistoWorkspaceProperty("OutputDataWorkspace", "", Direction.Output, PropertyMode.Optional),
            "Sums of events over zone class and the axes of OutputWorkspace.",
        )
        self.declareProperty(
            IMDHistoWorkspaceProperty("OutputNormalizationWorkspace", "", Direction.Output, PropertyMode.Optional),
            "Exposure over zone class and the axes of OutputWorkspace.",
        )

    def validateInputs(self):
        try:
            from fcinv_core.mantid_adapter.fold_request import fold_problems
        except ImportError as error:
            return {"InputWorkspace": MISSING_PACKAGE.format(error)}
        return fold_problems(self)

    def PyExec(self):
        try:
            self._fold()
        except ImportError as error:
            raise RuntimeError(MISSING_PACKAGE.format(error)) from error

    def _fold(self):
        from contextlib import ExitStack

        from fcinv_core.folding.class_histograms import class_histograms
        from fcinv_core.folding.fold import fold
        from fcinv_core.folding.folded_file import merge_folded, write_beside_experiment, write_folded
        from fcinv_core.folding.selection import select_cells, summarise
        from fcinv_core.mantid_adapter.events import workspace_events
        from fcinv_core.mantid_adapter.fold_request import earlier_fold, read_request

        progress = Progress(self, 0.0, 1.0, _STEPS)
        with ExitStack() as stack:
            progress.report(0, "Reading events")
            events = stack.enter_context(workspace_events(self, self.getProperty("InputWorkspace").value))
            empty = self.getProperty("BackgroundWorkspace").value
            background = None if empty is None else stack.enter_context(workspace_events(self, empty)).source
            progress.report(40, "Reading the earlier result")
            earlier = earlier_fold(self)
            progress.report(60, "Reading the crystal")
            request = read_request(self, events.source, earlier)

            def show(what, done, total):
                first, last = _STAGES[what]
                progress.report(first + (last - first) * done // max(total, 1), f"Folding {what}")

            progress.report(80, "Making bins")
            folded = fold(
                events.source,
                request.crystal,
                request.target,
                request.settings,
                solid_angles=request.solid_angles,
                background=background,
                file_cell=request.file_cell,
                progress=show,
            )
            if earlier is not None:
                folded = merge_folded({"the earlier result": earlier, events.source.description: folded})
            progress.report(860, "Comparing zones")
            keep, rejected = select_cells(folded, hkl=request.zones, minimum_exposure=request.minimum_exposure)
            for line in summarise(folded, rejected).splitlines():
                self.log().notice(line)
            self._make_output(
                "OutputWorkspace",
                lambda file: write_folded(file, folded, keep=keep, event_file=events.file),
                progress,
                880,
            )
            wanted = [name for name in _BY_CLASS if self.getPropertyValue(name)]
            if wanted:
                histos = dict(zip(_BY_CLASS, class_histograms(folded, rows=request.rows(folded)), strict=True))
                for k, name in enumerate(wanted):
                    self._make_output(
                        name,
                        lambda file, histo=histos[name]: write_beside_experiment(
                            file, histo, request.crystal, events.file
                        ),
                        progress,
                        920 + 40 * k,
                    )
        progress.report(_STEPS, "Done")

    def _make_output(self, name, write, progress, step):
        from fcinv_core.mantid_adapter.histograms import histogram_workspace

        progress.report(step, f"Writing {name}")
        workspace = histogram_workspace(self, write, lambda: progress.report(step + 20, f"Loading {name}"))
        self.setProperty(name, workspace)


AlgorithmFactory.subscribe(FoldToIQE)
