"""Parameter counts, ours and the authors'."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax

from ultrabm_jax.layers.rsmu import UNREGISTERED

Variables = Mapping[str, Any]


def count_parameters(tree: Any) -> int:
    """Elements of all arrays (or their shapes) in the tree."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def count_ultrabm(variables: Variables) -> int:
    """All parameters of UltraBM: trained ones and those of the frozen extractor (without batch statistics)."""
    frozen = variables.get("frozen", {}).get("semantic", {}).get("params", {})
    return count_parameters(variables["params"]) + count_parameters(frozen)


def count_ultrabm_as_authors(variables: Variables) -> int:
    """As the paper's Table 3: without the convolutions of RSMU's stages 1 and 3, which are not registered there."""
    rsmu = variables["params"].get("rsmu", {})
    unregistered = {name: tree for name, tree in rsmu.items() if name.startswith(UNREGISTERED)}
    return count_ultrabm(variables) - count_parameters(unregistered)
