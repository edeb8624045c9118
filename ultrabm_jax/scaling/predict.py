"""Predicted bounds of a training step and weak-scaling efficiency in pure data parallelism, from the compiled program.

    c             the larger of the program's arithmetic and bandwidth bounds (roofline.py); it does not depend on the
                  number of chips, because each chip keeps its batch
    r(n)          the program's collectives on n chips; their number and bytes do not depend on n
                  (tests/training/test_sharding.py)
    step          at least c + r(n) if no communication overlaps with computation, max(c, r(n)) if all of it does
    efficiency    c over the step, for both. A step that computes longer than c has a higher efficiency.

r(n) assumes ring algorithms. An all-reduce is a reduce-scatter within the group, an all-reduce of each chip's part
between groups and an all-gather within the group (2 (m-1)/m of the bytes at each level); an all-gather, a
reduce-scatter and an all-to-all send half of that; a permutation sends its bytes once, over the slowest link. Each
collective adds the latency of both levels.

Not modelled: input pipeline, stragglers, other jobs on the network, checkpoints, evaluation.
"""

from __future__ import annotations

import dataclasses
import math

from ultrabm_jax.scaling.chips import Chip
from ultrabm_jax.scaling.compiled_program import CompiledProgram
from ultrabm_jax.scaling.roofline import roofline

LATENCY = {"fast": 3e-6, "slow": 15e-6}  # seconds per doubling of the chips: assumptions, for tree algorithms


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Bounds in seconds of a step on each of `chips` chips."""

    chips: int
    arithmetic: float
    bandwidth: float
    links: float

    @property
    def compute(self) -> float:
        """The larger bound of the chip alone."""
        return max(self.arithmetic, self.bandwidth)

    @property
    def limit(self) -> str:
        """The name of the largest bound."""
        bounds = {name: getattr(self, name) for name in ("arithmetic", "bandwidth", "links")}
        return max(bounds, key=lambda name: bounds[name])

    def step(self, *, overlapped: bool) -> float:
        """The least time of the step, with all or none of the communication during computation."""
        return max(self.compute, self.links) if overlapped else self.compute + self.links

    def efficiency(self, *, overlapped: bool) -> float:
        """The time of one chip, which sends nothing, over that of `chips` chips with the same batch on each."""
        return self.compute / self.step(overlapped=overlapped)


def predict(program: CompiledProgram, chip: Chip, *, chips: int, dtype: str) -> Prediction:
    """The bounds of `program`, compiled for a few chips of this kind and data parallelism only, on `chips` chips."""
    bounds = roofline(program, chip, dtype=dtype)
    return Prediction(chips, bounds.arithmetic, bounds.bandwidth, link_seconds(program, chip, chips=chips))


def link_seconds(program: CompiledProgram, chip: Chip, *, chips: int) -> float:
    """Seconds that the program's collectives take on `chips` chips."""
    total = 0.0
    for kind, count in program["collectives"].items():
        size = program["bytes"][kind]
        if kind == "collective-permute":
            total += permute_seconds(size, chip, chips=chips, count=count)
        elif kind == "all-reduce":
            total += all_reduce_seconds(size, chip, chips=chips, count=count)
        else:
            total += all_reduce_seconds(size, chip, chips=chips, count=count) / 2
    return total


def all_reduce_seconds(size: float, chip: Chip, *, chips: int, count: int = 1) -> float:
    """Seconds of `count` all-reduces of `size` bytes in total over `chips` chips."""
    within = min(chips, chip.group)
    groups = math.ceil(chips / chip.group)
    inside = 2 * (within - 1) / within * size / chip.fast
    between = 2 * (groups - 1) / groups * size / within / chip.slow
    latency = 2 * (LATENCY["fast"] * math.log2(within) + LATENCY["slow"] * math.ceil(math.log2(groups)))
    return inside + between + count * latency


def permute_seconds(size: float, chip: Chip, *, chips: int, count: int = 1) -> float:
    """Seconds of `count` permutations of `size` bytes in total between neighbours."""
    if chips == 1:
        return 0.0
    link, bandwidth = ("fast", chip.fast) if chips <= chip.group else ("slow", chip.slow)
    return size / bandwidth + count * LATENCY[link]
