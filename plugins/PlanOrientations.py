"""Mantid algorithm PlanOrientations: which orientations to measure next, and when to stop."""

from mantid.api import (
    AlgorithmFactory,
    DataProcessorAlgorithm,
    FileAction,
    FileProperty,
    IMDWorkspaceProperty,
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
    StringMandatoryValidator,
)

MISSING_PACKAGE = (
    "PlanOrientations needs a Python package that is not there ({}): run "
    "`python -m pip install -c constraints-mantid.txt .` in a clone of fcinv with the Python of Mantid, and start "
    "Mantid again."
)
#: Where on the progress bar, of 1000 steps, the work lies, and steps of it after which that part is half full.
_WORK, _TYPICAL = (50, 950), 500


class PlanOrientations(DataProcessorAlgorithm):
    def category(self):
        return "Inelastic\\ForceConstants;MDAlgorithms"

    def summary(self):
        return (
            "Ranks orientations and incident energies by what a run there would tell of the force constants, puts "
            "runs in order, and says after which counting time an error is reached."
        )

    def seeAlso(self):
        return ["InvertForceConstants", "FoldToIQE"]

    def PyInit(self):
        self._declare_knowledge()
        self._declare_question()
        self._declare_experiment()
        self._declare_runs()
        self._declare_outputs()

    def _declare_knowledge(self):
        self.declareProperty(
            FileProperty("ResultFolder", "", FileAction.OptionalDirectory),
            "What is known before: ResultFolder of InvertForceConstants.",
        )
        self.declareProperty(
            "Model",
            "",
            doc="Without a result: a trained model, for its prior. The folder that TrainFCInversion wrote, or the "
            "name of one that comes with fcinv, such as ge.",
        )
        self.setPropertySettings("Model", EnabledWhenProperty("ResultFolder", PropertyCriterion.IsDefault))
        for name in ("ResultFolder", "Model"):
            self.setPropertyGroup(name, "What is known")

    def _declare_question(self):
        positive = FloatBoundedValidator(lower=0.0, exclusive=True)
        self.declareProperty(
            "Wanted",
            "all",
            doc="What is asked for: all force constants; dispersion, which is the mode energies over the zone; or "
            "force constants by name, such as FC0,FC1.",
        )
        self.declareProperty(
            "ModePoint",
            "",
            doc="In place of Wanted, the energy of a mode: a high-symmetry point, or q1,q2,q3 in fractions of the "
            "primitive reciprocal basis.",
        )
        self.declareProperty(
            "ModeBranch", 1, validator=IntBoundedValidator(lower=1), doc="Branch of that mode, from 1 upwards."
        )
        self.declareProperty(
            "Precision",
            Property.EMPTY_DBL,
            validator=positive,
            doc="Error to reach, eV/Angstrom^2 or meV; the plan ends there. Default: it goes on to NumberOfRuns.",
        )
        self.declareProperty("NumberOfRuns", 20, validator=IntBoundedValidator(lower=1), doc="Runs at most.")
        self.setPropertySettings("ModePoint", EnabledWhenProperty("Wanted", PropertyCriterion.IsDefault))
        self.setPropertySettings("ModeBranch", EnabledWhenProperty("ModePoint", PropertyCriterion.IsNotDefault))
        for name in ("Wanted", "ModePoint", "ModeBranch", "Precision", "NumberOfRuns"):
            self.setPropertyGroup(name, "What is asked for")

    def _declare_experiment(self):
        positive = FloatBoundedValidator(lower=0.0, exclusive=True)
        self.declareProperty(
            "Instrument",
            "",
            validator=StringMandatoryValidator(),
            doc="Spectrometer: ARCS, SEQUOIA, CNCS, HYSPEC, MERLIN or LET. The resolution follows from it.",
        )
        self.declareProperty(
            IMDWorkspaceProperty("InputWorkspace", "", Direction.Input, PropertyMode.Optional),
            "Events of a measurement, or what FoldToIQE made of them: detectors, UB matrix and incident energies "
            "are taken from there.",
        )
        self.declareProperty(
            FloatArrayProperty("IncidentEnergies", []),
            "Incident energies to compare, meV. Default: those of InputWorkspace.",
        )
        self.declareProperty(
            FloatArrayProperty("RelativeCounts", []),
            "Counts of a run at each incident energy, as a factor of Counts. Default: 1.",
        )
        self.declareProperty(
            FloatArrayProperty("Psi", [0.0, 179.0, 1.0]),
            "Angles about the vertical to compare, degrees: first,last,step.",
        )
        self.declareProperty(
            FloatArrayProperty("u", []), "Reciprocal vector h,k,l along the beam at psi = 0. Default: 1,0,0."
        )
        self.declareProperty(
            FloatArrayProperty("v", []), "Reciprocal vector h,k,l in the horizontal plane. Default: 0,1,0."
        )
        self.declareProperty(
            "BankAngle", Property.EMPTY_DBL, doc="Of a detector bank that turns (HYSPEC), degrees."
        )
        self.declareProperty("PixelSpacing", 3.0, validator=positive, doc="Size of a pixel, degrees.")
        self.declareProperty(
            "ElasticFWHM",
            Property.EMPTY_DBL,
            validator=positive,
            doc="Width of the elastic line, meV. Default: that of the instrument.",
        )
        for name in ("u", "v", "BankAngle", "PixelSpacing"):
            self.setPropertySettings(name, EnabledWhenProperty("InputWorkspace", PropertyCriterion.IsDefault))
        names = ("Instrument", "InputWorkspace", "IncidentEnergies", "RelativeCounts", "Psi", "u", "v")
        for name in (*names, "BankAngle", "PixelSpacing", "ElasticFWHM"):
            self.setPropertyGroup(name, "What can be measured")

    def _declare_runs(self):
        positive = FloatBoundedValidator(lower=0.0, exclusive=True)
        self.declareProperty(
            "Counts",
            Property.EMPTY_DBL,
            validator=positive,
            doc="Counts of a run in the bins of the path above the elastic line, background included, mean over "
            "the angles. Default: as measured.",
        )
        self.declareProperty(
            "Background",
            0.15,
            validator=FloatBoundedValidator(lower=0.0),
            doc="Flat background, as a fraction of the phonons' counts.",
        )
        self.declareProperty(
            "Temperature",
            Property.EMPTY_DBL,
            validator=FloatBoundedValidator(lower=0.0),
            doc="Temperature of the sample, K. Default: as measured.",
        )
        self.declareProperty("Minutes", 1.0, validator=positive, doc="Counting time of a run.")
        self.declareProperty(
            "PathPoints",
            51,
            validator=IntBoundedValidator(lower=2),
            doc="Points along the standard path of the crystal (Hinuma 2017), over whose bins counts are expected.",
        )
        for name in ("Counts", "Background", "Temperature", "Minutes", "PathPoints"):
            self.setPropertyGroup(name, "A run")

    def _declare_outputs(self):
        self.declareProperty(
            FileProperty("OutputFolder", "", FileAction.OptionalDirectory),
            "Folder for plan.json and plan.png; it appears whole or not at all. Default: nothing is written.",
        )
        self.declareProperty(
            ITableWorkspaceProperty("OutputWorkspace", "", Direction.Output),
            "All orientations and incident energies, the one that says most first: expected error after it alone, "
            "expected counts, and how often the plan makes it.",
        )
        self.declareProperty(
            ITableWorkspaceProperty("OutputSequenceWorkspace", "", Direction.Output, PropertyMode.Optional),
            "The runs to make, in order, with the counting time and the expected error after each.",
        )
        self.declareProperty(
            MatrixWorkspaceProperty("OutputErrorWorkspace", "", Direction.Output, PropertyMode.Optional),
            "Expected error over the counting time: of the plan, of equally spread angles, of neighbouring ones.",
        )

    def validateInputs(self):
        try:
            from fcinv_core.mantid_adapter.planning_request import planning_problems
        except ImportError as error:
            return {"ResultFolder": MISSING_PACKAGE.format(error)}
        return planning_problems(self)

    def PyExec(self):
        try:
            self._plan()
        except ImportError as error:
            raise RuntimeError(MISSING_PACKAGE.format(error)) from error

    def _plan(self):
        from fcinv_core.mantid_adapter.planning_request import read_plan_request
        from fcinv_core.mantid_adapter.progress_bars import Steps
        from fcinv_core.planning.plan import make_plan
        from fcinv_core.planning.writing import write_plan

        progress = Progress(self, 0.0, 1.0, 1000)
        progress.report(0, "Reading what is known")
        request = read_plan_request(self)
        steps = Steps(progress, *_WORK, _TYPICAL)
        plan = make_plan(
            request.knowledge,
            request.geometry,
            request.resolutions,
            request.wanted,
            request.settings,
            say=steps.begin,
            between=steps.step,
        )
        if request.out is not None:
            steps.begin("Writing the plan")
            write_plan(plan, request.out, request.provenance)
        progress.report(_WORK[1], "Making workspaces")
        self._set_outputs(plan)
        for sentence in (plan.headline, *plan.assumptions):
            self.log().notice(sentence)
        progress.report(1000, "Done")

    def _set_outputs(self, plan):
        from fcinv_core.mantid_adapter.planning_request import error_curves, ranking_columns, sequence_columns
        from fcinv_core.mantid_adapter.tables import error_workspace, fill_table

        def table(columns):
            return fill_table(WorkspaceFactory.createTable(), columns)

        self.setProperty("OutputWorkspace", table(ranking_columns(plan)))
        optional = {
            "OutputSequenceWorkspace": lambda: table(sequence_columns(plan)),
            "OutputErrorWorkspace": lambda: error_workspace(self, *error_curves(plan), plan.wanted.unit),
        }
        for name, make in optional.items():
            # A name is needed: an optional output that has none cannot be stored.
            if self.getPropertyValue(name):
                self.setProperty(name, make())


AlgorithmFactory.subscribe(PlanOrientations)
