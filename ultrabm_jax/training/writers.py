"""Where scalars and images go: train.jsonl always, CLU's writers (TensorBoard) where they are installed.

GPU images often lack TensorFlow, which CLU needs; a run there keeps its JSON lines.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ultrabm_jax.errors import first_line
from ultrabm_jax.logging import logger


class Writer(Protocol):
    """The part of CLU's MetricWriter that a run uses."""

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None: ...

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """One JSON object per call: {"step": 100, "loss/total": 0.2, ...}. Images are left to other writers.

    A run that goes on from step `after` writes later steps again: what the file holds of them, and a line that a kill
    left unfinished, is dropped. A value that is not finite (the PSNR of equal images) is null, as JSON has no other.
    """

    def __init__(self, path: Path, *, after: int = 0) -> None:
        if path.exists():
            kept = [line for line in path.read_text(errors="replace").splitlines() if _step(line) <= after]
            temporary = path.with_suffix(".tmp")
            temporary.write_text("".join(line + "\n" for line in kept))
            os.replace(temporary, path)
        self._file = path.open("ab", buffering=0)
        self._unwritten = b""  # the rest of a line that did not fit on a full disk

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        values = {name: float(value) if math.isfinite(value) else None for name, value in scalars.items()}
        self._unwritten += json.dumps({"step": step} | values).encode() + b"\n"
        self.flush()

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        pass

    def flush(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[self._file.write(self._unwritten) :]

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._file.close()


class Several:
    """Writes to all writers. A failure is logged once until the writer works again, and affects no other writer."""

    def __init__(self, writers: Mapping[str, Any]) -> None:
        self._writers = dict(writers)
        self._failing: set[str] = set()

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._each(lambda writer: writer.write_scalars(step, scalars))

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        self._each(lambda writer: writer.write_images(step, images))

    def flush(self) -> None:
        self._each(lambda writer: writer.flush())

    def close(self) -> None:
        self._each(lambda writer: writer.close())

    def _each(self, act: Callable[[Any], None]) -> None:
        for name, writer in self._writers.items():
            try:
                act(writer)
            except Exception as error:  # TensorFlow's and the system's share no class
                if name not in self._failing:
                    logger.warning("%s cannot be written (%s); training continues", name, first_line(error))
                self._failing.add(name)
            else:
                self._failing.discard(name)


def open_writer(workdir: Path, *, main_process: bool, after: int = 0) -> tuple[Writer, str | None]:
    """The writers of a run that goes on from step `after`, and a note on those that are missing.

    Only the main process writes.
    """
    if not main_process:
        return Several({}), None
    writers: dict[str, Any] = {}
    notes = []
    try:
        writers["train.jsonl"] = JsonLines(workdir / "train.jsonl", after=after)
    except OSError as error:
        notes.append(f"no train.jsonl ({error})")
    try:
        from clu import metric_writers
    except ImportError as error:
        notes.append(f"no TensorBoard files, only train.jsonl ({error})")
    else:
        try:
            writers["TensorBoard's file"] = metric_writers.create_default_writer(workdir, asynchronous=False)
        except Exception as error:  # as above
            notes.append(f"no TensorBoard files ({first_line(error)})")
    return Several(writers), "; ".join(notes) or None


def _step(line: str) -> float:
    """The step of a line of train.jsonl; infinite if the line is unfinished."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf
