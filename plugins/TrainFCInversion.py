"""Mantid algorithm TrainFCInversion: from a training set to a model that inverts measurements."""

from mantid.api import (
    AlgorithmFactory,
    DataProcessorAlgorithm,
    FileAction,
    FileProperty,
    ITableWorkspaceProperty,
    Progress,
    WorkspaceFactory,
)
from mantid.kernel import (
    Direction,
    EnabledWhenProperty,
    IntArrayProperty,
    IntBoundedValidator,
    PropertyCriterion,
    StringListValidator,
)

MISSING_PACKAGE = (
    "TrainFCInversion needs a Python package that is not there ({}): run "
    "`python -m pip install -c constraints-mantid.txt .` in a clone of fcinv with the Python of Mantid, and start "
    "Mantid again."
)
#: Where on the progress bar, of 1000 steps, the epochs lie; the rest is for judging the network.
_EPOCHS = (20, 900)


class TrainFCInversion(DataProcessorAlgorithm):
    def category(self):
        return "Inelastic\\ForceConstants;MDAlgorithms"

    def summary(self):
        return (
            "Trains a network to tell force constants from spectra, and writes it as a model with a card that says "
            "what it was trained on and how good it is."
        )

    def seeAlso(self):
        return ["GenerateFCTrainingSet", "InvertForceConstants"]

    def PyInit(self):
        self._declare_network()
        self._declare_measurements()
        self._declare_training()
        self._declare_outputs()

    def _declare_network(self):
        self.declareProperty(
            FileProperty("TrainingSetFile", "", FileAction.Load, extensions=[".h5"]),
            "Training set that GenerateFCTrainingSet wrote.",
        )
        self.declareProperty(
            "Architecture",
            "vae",
            validator=StringListValidator(["vae", "flow", "resnet", "resnet_flow"]),
            doc="Kind of network. vae: a variational autoencoder, which reconstructs the spectrum too. flow: a "
            "normalising flow for the joint posterior. resnet: a residual network. resnet_flow: a flow on the "
            "features of a residual network.",
        )
        self.declareProperty(
            FileProperty("PretrainedFile", "", FileAction.OptionalLoad),
            "Weights to begin from: of a vae for a flow, of torchvision's resnet18 for a resnet, of either kind of "
            "resnet for a resnet_flow. Default: random ones.",
        )
        self.setPropertySettings(
            "PretrainedFile", EnabledWhenProperty("Architecture", PropertyCriterion.IsNotEqualTo, "vae")
        )
        self.declareProperty(
            IntArrayProperty("Widths", []),
            "Channels of the convolutions at each resolution, from fine to coarse. Default: those of the "
            "architecture.",
        )
        for name in ("TrainingSetFile", "Architecture", "PretrainedFile", "Widths"):
            self.setPropertyGroup(name, "Training set and network")

    def _declare_measurements(self):
        self.declareProperty(
            "Augmentation",
            "measured",
            validator=StringListValidator(["measured", "mixed", "none"]),
            doc="measured: every spectrum is measured anew in every epoch, with background, noise, resolution, "
            "missing coverage and amplitudes drawn at random. mixed: half of the time with background and noise "
            "only. none: clean spectra only.",
        )
        self.declareProperty(
            "Scaling",
            "coverage",
            validator=StringListValidator(["coverage", "minmax"]),
            doc="coverage: intensity scaled by its 99th percentile, with the coverage beside it. minmax: from 0 "
            "to 1, coverage unknown.",
        )
        for name in ("Augmentation", "Scaling"):
            self.setPropertyGroup(name, "What the network is shown")

    def _declare_training(self):
        self.declareProperty(
            "Epochs", 40, validator=IntBoundedValidator(lower=1), doc="Passes over the training part of the set."
        )
        self.declareProperty(
            "Seed", 0, validator=IntBoundedValidator(lower=0), doc="Of weights, order and measurements."
        )
        self.declareProperty(
            "Resume",
            False,
            doc="Go on with a training that was cancelled, from the checkpoint beside OutputFolder.",
        )
        self.declareProperty(
            "Threads", 0, validator=IntBoundedValidator(lower=0), doc="Threads to use. Default: all cores."
        )
        self.declareProperty(
            "HalfPrecision",
            False,
            doc="Compute in bfloat16: twice as fast on processors that have units for it.",
        )
        for name in ("Epochs", "Seed", "Resume", "Threads", "HalfPrecision"):
            self.setPropertyGroup(name, "Training")

    def _declare_outputs(self):
        self.declareProperty(
            FileProperty("OutputFolder", "", FileAction.OptionalDirectory),
            "Folder for the model, mandatory; it appears when the training is complete.",
        )
        self.declareProperty(
            ITableWorkspaceProperty("OutputWorkspace", "", Direction.Output),
            "How well each force constant is found on the test part, from simulated measurements and from clean "
            "spectra: R2, mean absolute error (eV/Angstrom^2), and share of truths inside of 68 % intervals.",
        )
        self.declareProperty(
            "DispersionError",
            0.0,
            direction=Direction.Output,
            doc="Root mean square error of mode energies on simulated measurements of the test part, meV: the "
            "median over spectra.",
        )

    def validateInputs(self):
        try:
            from fcinv_core.mantid_adapter.training_request import training_problems
        except ImportError as error:
            return {"TrainingSetFile": MISSING_PACKAGE.format(error)}
        return training_problems(self)

    def PyExec(self):
        try:
            self._train()
        except ImportError as error:
            raise RuntimeError(MISSING_PACKAGE.format(error)) from error

    def _train(self):
        from fcinv_core.mantid_adapter.progress_bars import Epochs
        from fcinv_core.mantid_adapter.tables import fill_table
        from fcinv_core.mantid_adapter.training_request import read_training_request, score_columns
        from fcinv_core.networks.training import train

        progress = Progress(self, 0.0, 1.0, 1000)
        progress.report(0, "Reading the training set")
        request = read_training_request(self)
        epochs = Epochs(progress, *_EPOCHS, request.settings.epochs)

        def say(line):
            self.log().notice(line)
            epochs.begin(line)

        model = train(
            request.training, request.out, request.settings, say=say, progress=epochs.show, between=epochs.step
        )
        self.setProperty("OutputWorkspace", fill_table(WorkspaceFactory.createTable(), score_columns(model.card)))
        self.setProperty("DispersionError", float(model.card["tests"]["measured"]["dispersion_mev"]["median"]))
        progress.report(1000, "Done")


AlgorithmFactory.subscribe(TrainFCInversion)
