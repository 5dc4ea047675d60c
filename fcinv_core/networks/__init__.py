"""Networks that give force constants from spectra: training, models on disk, and their answers.

Importing it needs PyTorch, and nothing else in fcinv_core imports it at its head.
"""

from fcinv_core.networks.model import Model, NetworkAnswer, load_model
from fcinv_core.networks.training import TrainSettings, train

__all__ = ["Model", "NetworkAnswer", "TrainSettings", "load_model", "train"]
