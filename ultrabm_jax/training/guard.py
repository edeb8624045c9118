"""Leaves out a step whose loss or gradient is not finite, inside the compiled step.

One bad batch or one overflow would otherwise spoil the parameters, the optimiser's moments and the moving average for
good. Only the step's number goes on, so that the next step sees the next batch; the optimiser's own count does not.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.optim.state import TrainState


def keep_if_finite(before: TrainState, after: TrainState, metrics: dict[str, jax.Array]) -> TrainState:
    """`after` if every metric is finite, else `before` with the step of `after`.

    A method's metrics have all its losses and the norms of all its gradients. One that not every step has, (2,), counts
    where its second number says that this step has it.
    """
    good = jnp.stack([_is_finite(value) for value in metrics.values()]).all()
    kept = jax.tree.map(lambda old, new: jnp.where(good, new, old), before.saved(), after.saved())
    return kept.replace(step=after.step, frozen=after.frozen)


def _is_finite(value: jax.Array) -> jax.Array:
    return jnp.isfinite(value) if value.ndim == 0 else jnp.isfinite(value[0]) | (value[1] == 0)
