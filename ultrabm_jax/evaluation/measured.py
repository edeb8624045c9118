"""What is kept of an image once it is measured, and how the processes of a run bring theirs together."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import jax
import numpy as np

from ultrabm_jax.evaluation.protocols import Scores
from ultrabm_jax.report import ImageEntry


@dataclasses.dataclass(frozen=True)
class Measured:
    """One image: its place in the data set, the scores of each method, and what the page shows of it."""

    index: int
    name: str
    group: str | None
    scores: dict[str, Scores]
    row: ImageEntry | None = None


def gather(mine: Sequence[Measured], unavailable: dict[str, str]) -> tuple[list[Measured], dict[str, str]]:
    """The images of all processes, in the order of the data set, and every reason; the same on each process."""
    if jax.process_count() == 1:
        return sorted(mine, key=lambda m: m.index), unavailable
    parts = _exchange(json.dumps([[dataclasses.asdict(m) for m in mine], unavailable]).encode())
    measured: list[Measured] = []
    reasons: dict[str, str] = {}
    for images, why in map(json.loads, parts):
        measured += [Measured(**{**m, "row": m["row"] and ImageEntry(**m["row"])}) for m in images]
        reasons |= why
    return sorted(measured, key=lambda m: m.index), reasons


def _exchange(data: bytes) -> list[bytes]:
    """Each process's bytes, on every process."""
    from jax.experimental.multihost_utils import process_allgather

    lengths = process_allgather(np.array([len(data)], np.int32)).ravel()
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    return [row[:n].tobytes() for row, n in zip(process_allgather(padded), lengths, strict=True)]
