"""Gradient accumulation: the gradient of a batch from equal microbatches, with the memory of one microbatch.

Microbatch gradients equal the full-batch gradient, up to the order of sums, for a loss that is a mean over examples, as
all losses of this package are. Random draws and mixing over the batch happen before the split. With data parallelism,
the gradient is summed over devices once per microbatch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from ultrabm_jax.typing import PyTree

# (params, batch) -> (loss, auxiliary outputs), both means over the batch
Loss: TypeAlias = Callable[[PyTree, PyTree], tuple[jax.Array, PyTree]]
ValueAndGrad: TypeAlias = Callable[[PyTree, PyTree], tuple[tuple[jax.Array, PyTree], PyTree]]


def value_and_grad(loss: Loss, *, microbatches: int = 1) -> ValueAndGrad:
    """(params, batch) -> ((loss, auxiliary outputs), gradients), as jax.value_and_grad with has_aux."""
    full_batch = jax.value_and_grad(loss, has_aux=True)
    if microbatches == 1:
        return full_batch

    def accumulated(params: PyTree, batch: PyTree) -> tuple[tuple[jax.Array, PyTree], PyTree]:
        return mean_over_microbatches(
            lambda microbatch: full_batch(params, microbatch), batch, microbatches=microbatches
        )

    return accumulated


def mean_over_microbatches(function: Callable[[PyTree], PyTree], batch: PyTree, *, microbatches: int) -> PyTree:
    """Mean of `function` over the microbatches of `batch`. A non-finite value of one makes the mean non-finite."""
    split, constant = _split(batch, microbatches)

    def add(total: PyTree, microbatch: list[jax.Array]) -> tuple[PyTree, None]:
        return jax.tree.map(jnp.add, total, function(_merge(microbatch, constant))), None

    first = jax.eval_shape(lambda: function(_merge(jax.tree.map(lambda x: x[0], split), constant)))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), first)
    total, _ = jax.lax.scan(add, zeros, split)
    return jax.tree.map(lambda x: x / microbatches, total)


def map_microbatches(function: Callable[[PyTree], PyTree], batch: PyTree, *, microbatches: int) -> PyTree:
    """Applies `function`, which maps each example independently, to one microbatch after the other."""
    if microbatches == 1:
        return function(batch)
    split, constant = _split(batch, microbatches)
    out = jax.lax.map(lambda microbatch: function(_merge(microbatch, constant)), split)
    return jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]), out)


Constant: TypeAlias = tuple[jax.tree_util.PyTreeDef, list[jax.Array | None]]


def _split(batch: PyTree, microbatches: int) -> tuple[list[jax.Array], Constant]:
    """(leaves (microbatches, b / microbatches, ...), the tree structure and the leaves without a batch dimension).

    Example n goes to microbatch n % microbatches, so that examples stay on their devices. Leaves of shape () belong to
    every microbatch.
    """
    leaves, structure = jax.tree.flatten(batch)
    split = [x.reshape(-1, microbatches, *x.shape[1:]).swapaxes(0, 1) for x in leaves if x.ndim]
    return split, (structure, [None if x.ndim else x for x in leaves])


def _merge(microbatch: list[jax.Array], constant: Constant) -> PyTree:
    structure, leaves = constant
    examples = iter(microbatch)
    return jax.tree.unflatten(structure, [next(examples) if x is None else x for x in leaves])
