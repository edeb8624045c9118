"""Parameter counts and multiply-accumulates (MACs) of a network, counted as papers report them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import jax

from ultrabm_jax.typing import PyTree

Shape = tuple[int, ...]


@runtime_checkable
class CountsMacs(Protocol):
    """A convolution layer that reports its own multiply-accumulates."""

    def macs(self, input_shape: Shape, output_shape: Shape) -> int:
        """Multiply-accumulates of one call with input and output of these shapes, (b, h, w, c) each."""
        ...


def count_parameters(tree: PyTree) -> int:
    """Number of elements of all arrays, or of all `ShapeDtypeStruct`s, in the tree."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def count_convolution_macs(model: nn.Module, low: jax.ShapeDtypeStruct) -> int:
    """Multiply-accumulates of the model's convolutions on an input like `low`; only traces, computes nothing.

    Counts every layer that implements `CountsMacs`: this project's convolutions, but not `flax.linen.Conv`, which only
    the frozen feature extractors use. A grouped convolution is counted as grouped even if a dense form computes it,
    and a transposed one without inserted zeros. Biases, activations and attention are not counted.
    """
    total = 0

    def count(
        call: Callable[..., jax.Array],
        args: tuple[Any, ...],  # the arguments of any layer's method
        kwargs: dict[str, Any],  # as above
        context: nn.module.InterceptorContext,
    ) -> jax.Array:
        nonlocal total
        out = call(*args, **kwargs)
        if isinstance(context.module, CountsMacs) and context.method_name == "__call__":
            total += context.module.macs(args[0].shape, out.shape)
        return out

    with nn.intercept_methods(count):
        jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x)[0], low)
    return total
