"""Where scalars and pictures go: train.jsonl always, CLU's writers (TensorBoard) where they are installed.

GPU images often lack TensorFlow, which CLU needs; a run there keeps its JSON lines.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Writer(Protocol):
    """The part of CLU's MetricWriter that a run uses."""

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None: ...

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """One JSON object per call: {"step": 100, "loss/total": 0.2, ...}. Pictures are left to other writers.

    A run that goes on from step `after` writes later steps again: what the file holds of them, and a line that a kill
    left unfinished, is dropped. A value that is not finite (the PSNR of equal pictures) is null, as JSON has no other.
    """

    def __init__(self, path: Path, *, after: int = 0) -> None:
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if _step(line) <= after]
            temporary = path.with_suffix(".tmp")
            temporary.write_text("".join(line + "\n" for line in kept))
            os.replace(temporary, path)
        self._file = path.open("a", buffering=1)

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        values = {name: float(value) if math.isfinite(value) else None for name, value in scalars.items()}
        self._file.write(json.dumps({"step": step} | values) + "\n")

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        pass

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Several:
    """Writes to all of them."""

    def __init__(self, writers: list[Any]) -> None:
        self._writers = writers

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        for writer in self._writers:
            writer.write_scalars(step, scalars)

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        for writer in self._writers:
            writer.write_images(step, images)

    def flush(self) -> None:
        for writer in self._writers:
            writer.flush()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def open_writer(workdir: Path, *, main_process: bool, after: int = 0) -> tuple[Writer, str | None]:
    """The writers of a run that goes on from step `after`, and a note if TensorBoard's is missing.

    Only the main process writes.
    """
    if not main_process:
        return Several([]), None
    writers: list[Any] = [JsonLines(workdir / "train.jsonl", after=after)]
    try:
        from clu import metric_writers
    except ImportError as error:
        return Several(writers), f"no TensorBoard files, only train.jsonl ({error})"
    writers.append(metric_writers.create_default_writer(workdir, asynchronous=False))
    return Several(writers), None


def _step(line: str) -> float:
    """The step of a line of train.jsonl; infinite if the line is unfinished."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf
