"""Every test of the plugins runs on the Mantid that was chosen, beginning and ending without workspaces."""

from tests.mantid_choice import simpleapi

__all__ = ["simpleapi"]
