"""Parameter counts of UltraBM: all parameters, and the count of the paper's Table 3."""

from __future__ import annotations

from ultrabm_jax.layers.complexity import count_parameters
from ultrabm_jax.models.ultrabm.rsmu import UNREGISTERED
from ultrabm_jax.typing import Variables


def count_ultrabm(variables: Variables) -> int:
    """Trained parameters plus those of the frozen extractor, without batch statistics."""
    frozen = variables.get("frozen", {}).get("semantic", {}).get("params", {})
    return count_parameters(variables["params"]) + count_parameters(frozen)


def count_ultrabm_as_published(variables: Variables) -> int:
    """The count of Table 3, which leaves out RSMU's convolutions of steps 1 and 3: the release never registers them."""
    rsmu = variables["params"].get("rsmu", {})
    unregistered = {name: tree for name, tree in rsmu.items() if name.startswith(UNREGISTERED)}
    return count_ultrabm(variables) - count_parameters(unregistered)
