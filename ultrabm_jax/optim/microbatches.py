"""The gradient of a batch in equal parts, one after the other: the memory of a part, the result of the whole.

Exact, up to the order of sums, for a loss that is a mean over examples; all of this package are. What is drawn or mixed
over the batch is done before, on the whole. With data parallelism the gradient is summed over devices once
for each part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Loss = Callable[[Any, Any], tuple[jax.Array, Any]]  # (params, batch) -> (loss, what else it says), means over the batch


def value_and_grad(loss: Loss, *, parts: int = 1) -> Callable[[Any, Any], tuple[tuple[jax.Array, Any], Any]]:
    """(params, batch) -> ((loss, what else it says), gradients), as jax.value_and_grad with has_aux."""
    whole = jax.value_and_grad(loss, has_aux=True)
    if parts == 1:
        return whole

    def accumulated(params: Any, batch: Any) -> tuple[tuple[jax.Array, Any], Any]:
        return mean_over_microbatches(lambda part: whole(params, part), batch, parts=parts)

    return accumulated


def mean_over_microbatches(function: Callable[[Any], Any], batch: Any, *, parts: int) -> Any:
    """Mean of `function` over the parts of `batch`; one that is not finite in a part is not finite in the mean."""
    split, constant = _split(batch, parts)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(_merge(part, constant))), None

    first = jax.eval_shape(lambda: function(_merge(jax.tree.map(lambda x: x[0], split), constant)))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), first)
    total, _ = jax.lax.scan(add, zeros, split)
    return jax.tree.map(lambda x: x / parts, total)


def map_microbatches(function: Callable[[Any], Any], batch: Any, *, parts: int) -> Any:
    """`function`, which maps each example by itself, part by part: the same result, the memory of a part."""
    if parts == 1:
        return function(batch)
    split, constant = _split(batch, parts)
    out = jax.lax.map(lambda part: function(_merge(part, constant)), split)
    return jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]), out)


def _split(batch: Any, parts: int) -> tuple[list[Any], tuple[Any, list[Any]]]:
    """(leaves (parts, b / parts, ...), what is needed to put a part together).

    Example n goes to part n % parts, so that a device keeps its own. Leaves without examples, (), belong to all parts.
    """
    leaves, structure = jax.tree.flatten(batch)
    split = [x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1) for x in leaves if x.ndim]
    return split, (structure, [None if x.ndim else x for x in leaves])


def _merge(part: list[Any], constant: tuple[Any, list[Any]]) -> Any:
    structure, leaves = constant
    examples = iter(part)
    return jax.tree.unflatten(structure, [next(examples) if x is None else x for x in leaves])
