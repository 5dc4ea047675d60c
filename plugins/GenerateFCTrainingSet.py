"""Mantid algorithm GenerateFCTrainingSet: from an ensemble of force constants to a training set."""

from mantid.api import (
    AlgorithmFactory,
    DataProcessorAlgorithm,
    FileAction,
    FileProperty,
    ITableWorkspaceProperty,
    MultipleFileProperty,
    Progress,
    WorkspaceFactory,
)
from mantid.kernel import (
    Direction,
    EnabledWhenProperty,
    FloatArrayProperty,
    FloatBoundedValidator,
    IntArrayProperty,
    IntBoundedValidator,
    Property,
    PropertyCriterion,
    StringListValidator,
)

MISSING_PACKAGE = (
    "GenerateFCTrainingSet needs a Python package that is not there ({}): run "
    "`python -m pip install -c constraints-mantid.txt .` in a clone of fcinv with the Python of Mantid, and start "
    "Mantid again."
)


class GenerateFCTrainingSet(DataProcessorAlgorithm):
    def category(self):
        return "Inelastic\\ForceConstants;MDAlgorithms"

    def summary(self):
        return (
            "Draws sets of force constants around an ensemble, keeps the dynamically stable ones, and writes them "
            "with their mode energies: what a network is trained with."
        )

    def seeAlso(self):
        return ["TrainFCInversion", "SimulateDispersion"]

    def PyInit(self):
        self._declare_ensemble()
        self._declare_sampling()
        self._declare_bins()
        self._declare_outputs()

    def _declare_ensemble(self):
        self.declareProperty(
            FileProperty("StructureFile", "", FileAction.Load),
            "Structure of the crystal: POSCAR, CIF or phonopy yaml. For force constants that hold no cell it must "
            "be the cell they were computed for.",
        )
        self.declareProperty(
            FileProperty("EnsembleFolder", "", FileAction.OptionalDirectory),
            "Folder with one phonopy_params file for each force field, as `fcinv ensemble` makes it.",
        )
        self.declareProperty(
            MultipleFileProperty("ForceConstantsFiles", FileAction.OptionalLoad),
            "Sets of force constants, one file each, in place of a folder: phonopy_params.yaml, FORCE_CONSTANTS, "
            "force_constants.hdf5 or FORCE_SETS.",
        )
        self.declareProperty(
            IntArrayProperty("Supercell", []),
            "Phonopy's DIM for the cell of StructureFile, 3 or 9 integers, where files do not say it and it is not "
            "n,n,n.",
        )
        self.declareProperty(
            FileProperty("BornFile", "", FileAction.OptionalLoad),
            "Born charges and dielectric tensor of a polar crystal. Default: a file BORN beside the force "
            "constants.",
        )
        self.setPropertySettings(
            "ForceConstantsFiles", EnabledWhenProperty("EnsembleFolder", PropertyCriterion.IsDefault)
        )
        for name in ("StructureFile", "EnsembleFolder", "ForceConstantsFiles", "Supercell", "BornFile"):
            self.setPropertyGroup(name, "Crystal and ensemble")

    def _declare_sampling(self):
        self.declareProperty(
            "NumberOfSamples", 10000, validator=IntBoundedValidator(lower=1), doc="Stable sets to draw."
        )
        self.declareProperty(
            "Retained",
            "8",
            doc="Force constants drawn over their ranges, from -25 % to +150 %: the N of largest magnitude, all, "
            "or auto for those that move the dispersion by more than 0.1 meV rms.",
        )
        self.declareProperty(
            "Others",
            "prior",
            validator=StringListValidator(["prior", "reference"]),
            doc="The other force constants are drawn from the prior, or held at the mean of the ensemble.",
        )
        self.declareProperty(
            "Spread",
            Property.EMPTY_DBL,
            validator=FloatBoundedValidator(lower=0.0),
            doc="Relative half-width of the ranges where only one set of force constants is given, such as 0.3.",
        )
        self.declareProperty(
            "Seed", 0, validator=IntBoundedValidator(lower=0), doc="The same seed gives the same set."
        )
        self.declareProperty(
            "DaskScheduler", "", doc="Address of a Dask scheduler over whose workers the work is spread."
        )
        for name in ("NumberOfSamples", "Retained", "Others", "Spread", "Seed", "DaskScheduler"):
            self.setPropertyGroup(name, "Sampling")

    def _declare_bins(self):
        self.declareProperty(
            "PathPoints",
            201,
            validator=IntBoundedValidator(lower=2),
            doc="Points along the standard path of the crystal (Hinuma 2017).",
        )
        self.declareProperty(
            FloatArrayProperty("EnergyBinning", []),
            "Energy bins of spectra, meV: min,step,max. Default: 100 bins from 0 to a little above the highest "
            "mode that was drawn.",
        )
        self.declareProperty(
            FloatArrayProperty("ResolutionFWHM", []),
            "Energy resolution c0,c1,c2...: FWHM(E) = c0 + c1 E + c2 E^2 ..., meV. "
            "Default: 3 % of the highest energy of the bins.",
        )
        self.declareProperty(
            "StoreSpectra", False, doc="Write the spectra too, for other programs; fcinv renders them as it trains."
        )
        for name in ("PathPoints", "EnergyBinning", "ResolutionFWHM", "StoreSpectra"):
            self.setPropertyGroup(name, "Path and spectra")

    def _declare_outputs(self):
        self.declareProperty(
            FileProperty("OutputFile", "", FileAction.Save, extensions=[".h5"]),
            "Training set to write. A table and pictures of the ensemble are written beside it.",
        )
        self.declareProperty(
            ITableWorkspaceProperty("OutputWorkspace", "", Direction.Output),
            "All force constants, by falling magnitude: label, mean of the ensemble (eV/Angstrom^2), range, and "
            "what each does to the dispersion.",
        )
        self.declareProperty(
            "AcceptanceRate", 0.0, direction=Direction.Output, doc="Share of the drawn sets that were stable."
        )

    def validateInputs(self):
        try:
            from fcinv_core.mantid_adapter.generation_request import generation_problems
        except ImportError as error:
            return {"StructureFile": MISSING_PACKAGE.format(error)}
        return generation_problems(self)

    def PyExec(self):
        try:
            self._generate()
        except ImportError as error:
            raise RuntimeError(MISSING_PACKAGE.format(error)) from error

    def _generate(self):
        from fcinv_core.generation import generate_training_set
        from fcinv_core.mantid_adapter.generation_request import read_generation_request, summary_columns
        from fcinv_core.mantid_adapter.tables import fill_table

        progress = Progress(self, 0.0, 1.0, 1000)
        progress.report(0, "Reading the ensemble")
        request = read_generation_request(self)
        training = generate_training_set(
            request.structure,
            request.force_constants,
            request.out,
            request.settings,
            say=self._say,
            progress=lambda done, total: progress.report(50 + 900 * done // total, "Drawing stable sets"),
            between=progress.report,
        )
        self.setProperty("OutputWorkspace", fill_table(WorkspaceFactory.createTable(), summary_columns(training)))
        self.setProperty("AcceptanceRate", float(training.content["acceptance"]))
        progress.report(1000, "Done")

    def _say(self, text):
        for line in text.splitlines():
            self.log().notice(line)


AlgorithmFactory.subscribe(GenerateFCTrainingSet)
