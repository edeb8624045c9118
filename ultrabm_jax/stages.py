"""Progressive training stages, whose lengths are fractions of the run, so that a shorter run keeps the proportions.

Arithmetic on config fields, used by training and by the data check.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from ultrabm_jax.errors import UserError

SEARCH_LIMIT = 1024  # multiples of the required divisor to try for a proposal


@dataclasses.dataclass(frozen=True)
class Stage:
    """Steps [start, stop) of one batch size (examples over all devices) and one low-resolution patch side (pixels)."""

    start: int
    stop: int
    batch_size: int
    patch_size: int

    def __str__(self) -> str:
        return f"{self.stop - self.start} steps with batches of {self.batch_size} and patches of {self.patch_size}"


def boundaries(shares: Sequence[float], steps: int) -> list[int]:
    """Splits `steps` in proportion to `shares`: [0, ..., steps], each rounded to a whole step."""
    total = sum(shares)
    return [round(steps * done / total) for done in accumulate(shares, initial=0)]


def progressive_stages(
    stages: Sequence[tuple[float, float, int]], *, steps: int, batch_size: int, patch_size: int
) -> list[Stage]:
    """(share of the steps, batch, patch) -> stages. Batch and patch are relative to those of the first stage.

    With the paper's (8, 5, 4, 2, 1, 1) a batch_size of 64 gives 64, 40, 32, 16, 8, 8. Batches are rounded down to at
    least 1, patches to a multiple of 16 (at least 16). No stages: one over all steps.
    """
    if not stages:
        return [Stage(0, steps, batch_size, patch_size)]
    _, first_batch, first_patch = stages[0]
    edges = boundaries([share for share, _, _ in stages], steps)
    out = []
    for (start, stop), (_, batch, patch) in zip(pairwise(edges), stages, strict=True):
        size = patch_size if patch == first_patch else max(16, patch_size * patch // first_patch // 16 * 16)
        out.append(Stage(start, stop, max(1, int(batch_size * batch / first_batch)), size))
    return [stage for stage in out if stage.stop > stage.start]


def check_divisible(
    make_stages: Callable[[int], Sequence[Stage]], *, batch_size: int, devices: int, microbatches: int = 1
) -> None:
    """Raises UserError if a stage's batch is not divisible by `devices` (of the batch axes) times `microbatches`.

    `make_stages` maps a batch size to its stages; the error proposes the next batch size that works.
    """
    divisor = devices * microbatches
    for number, stage in enumerate(make_stages(batch_size), start=1):
        if stage.batch_size % divisor:
            first = -(-batch_size // divisor) * divisor
            candidates = range(first, first + SEARCH_LIMIT * divisor, divisor)
            works = (n for n in candidates if all(other.batch_size % divisor == 0 for other in make_stages(n)))
            proposal = next((f", for example --config.data.batch_size={n}" for n in works), "")
            times = f" times {microbatches} microbatches (train.accumulate)" if microbatches > 1 else ""
            raise UserError(
                f"stage {number}: batch of {stage.batch_size} is not divisible by the {devices} devices that split it"
                f"{times}; set data.batch_size (now {batch_size}) so that every stage's batch is{proposal}"
            )
