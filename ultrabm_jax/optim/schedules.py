"""Learning-rate schedules in fractions of the run, so that a shorter run keeps the paper's proportions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import optax

from ultrabm_jax.stages import boundaries


def cosine_cycles(cycles: Sequence[tuple[float, ...]], *, steps: int, learning_rate: float) -> optax.Schedule:
    """(share of the steps, final rate): each cycle is half a cosine from `learning_rate` to its final rate.

    (share, first rate, final rate) starts at another rate; equal rates give a constant, so cycles can also describe a
    step schedule. UltraIS's first cycle ends above its start (2e-4 -> 3e-4) and therefore rises, as in the release.
    """
    edges = boundaries([share for share, *_ in cycles], steps)
    rates = [(learning_rate, *rates)[-2:] for _, *rates in cycles]
    schedules = [
        optax.cosine_decay_schedule(first, max(1, stop - start), alpha=final / first)
        for (start, stop), (first, final) in zip(pairwise(edges), rates, strict=True)
    ]
    return optax.join_schedules(schedules, edges[1:-1])
