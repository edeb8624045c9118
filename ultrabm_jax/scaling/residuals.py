"""What a pass of the network keeps for the backward pass, before any compiler: the same for every device."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ultrabm_jax.methods import create_method
from ultrabm_jax.scaling.step import abstract_batch, abstract_state
from ultrabm_jax.training.sharding import make_mesh


def residual_bytes(config: ConfigDict, *, batch: int, patch: int) -> int:
    """Of the way from `batch` low patches to restored ones, in parts of `train.accumulate`; losses are left out.

    Parameters that the backward pass needs count, as what it needs of the activations does. A compiler may keep less,
    and merges what is computed again with the first time where it takes away the barrier between them.
    """
    method = create_method(config)
    variables = method.variables(abstract_state(method))
    one = make_mesh(ConfigDict({"data": 1, "fsdp": 1, "spatial": 1}))
    stored = abstract_batch(config, one, per_device=batch // config.train.accumulate, patch=patch)["low"]

    def backward(variables: Any, low: jax.Array) -> Any:
        def restored(params: Any) -> jax.Array:
            return method.model.apply({**variables, "params": params}, low)["restored"]

        return jax.vjp(restored, variables["params"])[1]

    kept = jax.eval_shape(backward, variables, jax.ShapeDtypeStruct(stored.shape, jnp.float32))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))
