"""The result of one image, and the exchange of results between the processes of a run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import jax

from ultrabm_jax.evaluation.protocols import Reasons
from ultrabm_jax.metrics.scoring import Scores
from ultrabm_jax.report import ImageEntry
from ultrabm_jax.training.distributed import allgather_bytes


@dataclasses.dataclass(frozen=True)
class ImageResult:
    """One image: its index in the data set, the scores of each method, and its entry in the report if it has one."""

    index: int
    name: str
    group: str | None
    scores: dict[str, Scores]  # method: scores
    entry: ImageEntry | None = None
    reasons: dict[str, Reasons] = dataclasses.field(default_factory=dict)  # method: protocol: why it has no score


def allgather_results(
    local: Sequence[ImageResult], *reasons: dict[str, str]
) -> tuple[list[ImageResult], tuple[dict[str, str], ...]]:
    """(results in the order of the data set, merged `reasons`) of all processes; the same on every process."""
    if jax.process_count() == 1:
        return sorted(local, key=lambda result: result.index), reasons
    results: list[ImageResult] = []
    merged: tuple[dict[str, str], ...] = tuple({} for _ in reasons)
    data = json.dumps([[dataclasses.asdict(result) for result in local], reasons]).encode()
    for fields, why in map(json.loads, allgather_bytes(data)):
        results += [ImageResult(**{**f, "entry": f["entry"] and ImageEntry(**f["entry"])}) for f in fields]
        for part, more in zip(merged, why, strict=True):
            part |= more
    return sorted(results, key=lambda result: result.index), merged
