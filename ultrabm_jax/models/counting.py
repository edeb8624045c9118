"""Parameter counts, ours and the authors', and multiplications."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from ultrabm_jax.layers.conv import Conv
from ultrabm_jax.layers.deconv import Deconv
from ultrabm_jax.layers.weight_norm import NormedConv
from ultrabm_jax.models.ultrabm.rsmu import UNREGISTERED

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


def count_convolution_macs(model: nn.Module, low: jax.ShapeDtypeStruct) -> int:
    """Multiply-accumulates of all convolutions on `low`, as papers count them: a grouped one by its groups.

    Without biases, activations and attention; the zeros that a fast form of a grouped convolution multiplies are not
    counted, nor are those that a transposed one is said to insert. Nothing is computed.
    """
    total = 0

    def count(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        nonlocal total
        out = call(*args, **kwargs)
        conv = context.module
        if isinstance(conv, Conv | NormedConv) and context.method_name == "__call__":
            total += math.prod(out.shape) * conv.kernel**2 * (args[0].shape[-1] // conv.groups)
        elif isinstance(conv, Deconv) and context.method_name == "__call__":
            total += math.prod(args[0].shape) * conv.kernel**2 * conv.features
        return out

    with nn.intercept_methods(count):
        jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x)[0], low)
    return total
