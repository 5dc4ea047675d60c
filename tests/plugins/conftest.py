"""Every test of the plugins runs on the Mantid that was chosen, beginning and ending without workspaces."""

from tests.mantid_choice import simpleapi
from tests.networks.conftest import model_folder, training

__all__ = ["model_folder", "simpleapi", "training"]
