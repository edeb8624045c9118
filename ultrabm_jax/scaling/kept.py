"""What a pass of the network keeps for the backward pass, before any compiler: the same for every device."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ultrabm_jax.methods import create_method
from ultrabm_jax.scaling.step import abstract_state


def bytes_kept(config: ConfigDict, *, batch: int, patch: int) -> int:
    """Of the way from `batch` low patches to restored ones, in parts of `train.accumulate`; losses are left out.

    Parameters that the backward pass needs count, as what it needs of the activations does. A compiler may keep less,
    and merges what is computed again with the first time where it takes away the barrier between them.
    """
    method = create_method(config)
    state = abstract_state(method)
    frozen = {"frozen": state.frozen["model"]} if "model" in state.frozen else {}
    channels = 1 if config.model.name == "red" else 3
    low = jax.ShapeDtypeStruct((batch // config.train.accumulate, patch, patch, channels), jnp.float32)

    def backward(params: Any, low: jax.Array, frozen: Any) -> Any:
        def restored(params: Any) -> jax.Array:
            return method.model.apply({"params": params, **frozen}, low)["restored"]

        return jax.vjp(restored, params)[1]

    kept = jax.tree.leaves(jax.eval_shape(backward, state.params, low, frozen))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in kept)
