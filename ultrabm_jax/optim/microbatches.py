"""The gradient of a batch from equal parts: microbatches one after the other, and the examples of each device.

Accumulation over microbatches needs the memory of one of them. The means over devices are taken once per step, after
all microbatches. Left to the compiler, the sum over devices happens where a gradient arises: in every microbatch, and
in every iteration of a loop in the network.

The gradient of the parts equals that of the full batch, up to the order of sums, for a loss that is a mean over
examples, as all losses of this package are. Random draws and mixing over the batch happen before the split.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from ultrabm_jax.typing import PyTree

DATA = "data"  # the axis of the mesh over which gradients are averaged (training/sharding.py)

# (params, batch, **shared) -> (loss, auxiliary outputs), both means over the batch
Loss: TypeAlias = Callable[..., tuple[jax.Array, PyTree]]
ValueAndGrad: TypeAlias = Callable[..., tuple[tuple[jax.Array, PyTree], PyTree]]


def value_and_grad(loss: Loss, *, microbatches: int = 1) -> ValueAndGrad:
    """(params, batch, **shared) -> ((loss, auxiliary outputs), gradients), as jax.value_and_grad with has_aux.

    `shared` are arrays, or trees of them, that the loss needs as a whole. It must not close over traced arrays: in the
    context of a mesh that splits the batch over `DATA`, it is traced for one device's own examples (jax.shard_map), and
    must not contain collectives over `DATA`. The means over these devices are taken once, at the end.
    """
    full_batch = jax.value_and_grad(loss, has_aux=True)

    def accumulated(params: PyTree, batch: PyTree, **shared: PyTree) -> tuple[tuple[jax.Array, PyTree], PyTree]:
        return mean_over_microbatches(
            lambda microbatch: full_batch(params, microbatch, **shared), batch, microbatches=microbatches
        )

    return _mean_over_devices(full_batch if microbatches == 1 else accumulated)


def _mean_over_devices(function: ValueAndGrad) -> ValueAndGrad:
    """Mean of `function` over `DATA`, an axis of the context's mesh; `function` itself if nothing is split over it."""

    def on_one(params: PyTree, examples: PyTree, shared: PyTree) -> PyTree:
        return jax.lax.pmean(function(params, examples, **shared), DATA)

    def mean(params: PyTree, batch: PyTree, **shared: PyTree) -> tuple[tuple[jax.Array, PyTree], PyTree]:
        if jax.sharding.get_abstract_mesh().shape.get(DATA, 1) == 1:
            return function(params, batch, **shared)
        split = jax.tree.map(lambda x: PartitionSpec(DATA) if x.ndim else PartitionSpec(), batch)
        on_each = jax.shard_map(
            on_one,
            in_specs=(PartitionSpec(), split, PartitionSpec()),
            out_specs=PartitionSpec(),
            axis_names={DATA},
            check_vma=False,  # with it, the gradient of a parameter is summed wherever the loss reads the parameter
        )
        result: tuple[tuple[jax.Array, PyTree], PyTree] = on_each(params, batch, shared)
        return result

    return mean


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
