"""Predicted time of a step and weak-scaling efficiency in pure data parallelism. A model, not a measurement:

    t(n) = c + max(0, r(n) - h b c)        efficiency = t(1) / t(n)
    c      flops of the step on one device / (`share` * the chip's published peak)
    r(n)   all-reduce of the gradients: reduce-scatter within the group, all-reduce of each chip's part between groups,
           all-gather within the group; ring algorithms (2 (m-1)/m of the bytes), plus the latency of both levels
    h      share of the backward pass (b = 2/3 of c) that the all-reduce overlaps with: 0 or 1

Not modelled: input pipeline, stragglers, other jobs on the network, checkpoints, evaluation.
"""

from __future__ import annotations

import math

from ultrabm_jax.scaling.chips import Chip

SHARE = 0.3  # of the peak that a step reaches: an assumption; benchmarks/ultrabm_step.py measures it
LATENCY = {"fast": 3e-6, "slow": 15e-6}  # seconds per doubling of the chips: assumptions, for tree algorithms
BACKWARD = 2 / 3


def all_reduce_seconds(size: float, chip: Chip, *, chips: int) -> float:
    """Seconds of an all-reduce of `size` bytes over `chips` chips."""
    within = min(chips, chip.group)
    groups = math.ceil(chips / chip.group)
    inside = 2 * (within - 1) / within * size / chip.fast
    between = 2 * (groups - 1) / groups * size / within / chip.slow
    latency = 2 * (LATENCY["fast"] * math.log2(within) + LATENCY["slow"] * math.ceil(math.log2(groups)))
    return inside + between + latency


def step_seconds(
    flops: float, size: float, chip: Chip, *, chips: int, dtype: str, share: float = SHARE, hidden: float = 0.0
) -> float:
    """Seconds of a step with `flops` per chip and gradients of `size` bytes."""
    compute = flops / (share * chip.flops[dtype])
    exposed = all_reduce_seconds(size, chip, chips=chips) - hidden * BACKWARD * compute
    return compute + max(0.0, exposed)


def efficiency(
    flops: float, size: float, chip: Chip, *, chips: int, dtype: str, share: float = SHARE, hidden: float = 0.0
) -> float:
    """Weak-scaling efficiency, with the same batch on each chip."""
    alone, together = (
        step_seconds(flops, size, chip, chips=n, dtype=dtype, share=share, hidden=hidden) for n in (1, chips)
    )
    return alone / together
