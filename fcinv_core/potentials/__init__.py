"""Force constants of a crystal from an ensemble of universal machine-learned force fields."""

from fcinv_core.potentials.configuration import EnsembleConfig, Member, read_ensemble_config, shipped_config
from fcinv_core.potentials.ensemble import EnsembleSummary, MemberJob, MemberOutcome, run_ensemble, run_member
from fcinv_core.potentials.environments import set_up_environments
from fcinv_core.potentials.shipped import shipped_ensemble, shipped_ensembles

__all__ = [
    "EnsembleConfig",
    "EnsembleSummary",
    "Member",
    "MemberJob",
    "MemberOutcome",
    "read_ensemble_config",
    "run_ensemble",
    "run_member",
    "set_up_environments",
    "shipped_config",
    "shipped_ensemble",
    "shipped_ensembles",
]
