"""Skips a step with a non-finite loss or gradient, inside the compiled program.

Otherwise one bad batch or one overflow would corrupt the parameters, the optimiser's moments and the moving average for
the rest of the run. Only the step counter advances, so that the next step sees the next batch; the optimiser's own
count does not.

In a run of several processes, a batch also states for each example whether its process could load it (`VALID`). If one
could not, the step changes nothing at all, and every process learns it from the metrics: they stop together and save.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.typing import Metrics

VALID = "valid"  # (b,) of a batch: 1, or 0 for an example that could not be loaded; () as a metric


def keep_if_finite(before: TrainState, after: TrainState, metrics: Metrics) -> TrainState:
    """`after` if every metric is finite, else `before` with the step counter of `after`.

    `metrics` has all losses and gradient norms of the method. A metric (2,) counts only if its second element is not 0
    (meter.py).
    """
    finite = jnp.stack([_is_finite(value) for value in metrics.values()]).all()
    kept = jax.tree.map(lambda old, new: jnp.where(finite, new, old), before.saved(), after.saved())
    return kept.replace(step=after.step, frozen=after.frozen)


def keep_if_valid(before: TrainState, after: TrainState, valid: jax.Array) -> TrainState:
    """`after` if `valid`, else `before` with its step counter."""
    kept: TrainState = jax.tree.map(lambda old, new: jnp.where(valid, new, old), before.saved(), after.saved())
    return kept.replace(frozen=after.frozen)


def _is_finite(value: jax.Array) -> jax.Array:
    return jnp.isfinite(value) if value.ndim == 0 else jnp.isfinite(value[0]) | (value[1] == 0)
