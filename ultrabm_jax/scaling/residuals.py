"""Bytes that a forward pass stores for the backward pass, before any compiler optimisation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ultrabm_jax.layers.by_platform import traced_for
from ultrabm_jax.methods import create_method
from ultrabm_jax.scaling.step import abstract_batch, abstract_state
from ultrabm_jax.training.sharding import make_mesh
from ultrabm_jax.typing import Params, PyTree, Variables


def residual_bytes(config: ConfigDict, *, batch: int, patch: int) -> int:
    """Residuals of restoring `batch` low patches in `train.accumulate` microbatches, without the losses.

    Counts the parameters and the activations that the backward pass needs. A compiler may keep less; it may also undo
    rematerialisation where it removes the barrier between both computations.
    """
    method = create_method(config)
    variables = method.variables(abstract_state(method))
    one = make_mesh(ConfigDict({"data": 1, "fsdp": 1, "spatial": 1}))
    stored = abstract_batch(config, one, per_device=batch // config.train.accumulate, patch=patch)["low"]

    def backward(variables: Variables, low: jax.Array) -> PyTree:
        def restored(params: Params) -> jax.Array:
            return method.model.apply({**variables, "params": params}, low)["restored"]

        return jax.vjp(restored, variables["params"])[1]

    with traced_for("cpu"):
        kept = jax.eval_shape(backward, variables, jax.ShapeDtypeStruct(stored.shape, jnp.float32))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))
