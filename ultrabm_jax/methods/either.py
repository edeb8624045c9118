"""One of two steps inside one compiled program, for methods whose stages train different networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Step = Callable[..., tuple[Any, dict[str, jax.Array]]]  # (*operands) -> (result, {metric: ()})


def either(first_now: jax.Array, first: Step, second: Step, *operands: Any) -> tuple[Any, dict[str, jax.Array]]:
    """`first(*operands)` where `first_now`, else `second(*operands)`; only the chosen one is computed.

    Results must have one structure. Metrics need not: each comes as (value, 1), or as (0, 0) where the chosen step
    does not have it (training/meter.py).
    """
    names = sorted({name for step in (first, second) for name in jax.eval_shape(step, *operands)[1]})

    def whole(step: Step) -> Step:
        def run(*operands: Any) -> tuple[Any, dict[str, jax.Array]]:
            result, metrics = step(*operands)
            return result, {name: _pair(metrics.get(name)) for name in names}

        return run

    return jax.lax.cond(first_now, whole(first), whole(second), *operands)


def _pair(value: jax.Array | None) -> jax.Array:
    return jnp.zeros(2) if value is None else jnp.stack([value.astype(jnp.float32), jnp.ones(())])
