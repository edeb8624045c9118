"""The result of one image, and the exchange of results between the processes of a run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import jax
import numpy as np

from ultrabm_jax.metrics.scoring import Scores
from ultrabm_jax.report import ImageEntry
from ultrabm_jax.training.distributed import allgather


@dataclasses.dataclass(frozen=True)
class ImageResult:
    """One image: its index in the data set, the scores of each method, and its entry in the report if it has one."""

    index: int
    name: str
    group: str | None
    scores: dict[str, Scores]  # method: scores
    entry: ImageEntry | None = None


def allgather_results(
    local: Sequence[ImageResult], unavailable: dict[str, str]
) -> tuple[list[ImageResult], dict[str, str]]:
    """(the results of all processes in the order of the data set, all reasons); the same on every process."""
    if jax.process_count() == 1:
        return sorted(local, key=lambda result: result.index), unavailable
    results: list[ImageResult] = []
    reasons: dict[str, str] = {}
    data = json.dumps([[dataclasses.asdict(result) for result in local], unavailable]).encode()
    for fields, why in map(json.loads, _allgather_bytes(data)):
        results += [ImageResult(**{**f, "entry": f["entry"] and ImageEntry(**f["entry"])}) for f in fields]
        reasons |= why
    return sorted(results, key=lambda result: result.index), reasons


def _allgather_bytes(data: bytes) -> list[bytes]:
    """The bytes of each process, on every process."""
    lengths = allgather(np.array([len(data)], np.int32)).ravel()
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    return [row[:n].tobytes() for row, n in zip(allgather(padded), lengths, strict=True)]
