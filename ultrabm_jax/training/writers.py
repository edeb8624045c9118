"""Writers of scalars and images: always train.jsonl, and on disk CLU's writers (TensorBoard) where installed.

Containers for GPUs often lack TensorFlow, which CLU needs; runs there write only train.jsonl.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from ultrabm_jax.buckets import AnyPath, replace_text
from ultrabm_jax.errors import first_line
from ultrabm_jax.logging import logger


class Writer(Protocol):
    """The part of CLU's MetricWriter that training uses."""

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None: ...

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """One JSON object per call: {"step": 100, "loss/total": 0.2, ...}. Ignores images.

    A run that resumes from step `after` writes the later steps again, so their lines, and a line that a killed run left
    incomplete, are removed. Non-finite values (the PSNR of equal images) become null, since JSON has no other.
    """

    def __init__(self, path: Path, *, after: int = 0) -> None:
        if path.exists():
            temporary = path.with_suffix(".tmp")
            temporary.write_text(_lines_until(after, path.read_text(errors="replace")))
            os.replace(temporary, path)
        self._file = path.open("ab", buffering=0)
        self._unwritten = b""  # what did not fit on a full disk

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._unwritten += _line(step, scalars).encode()
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


class ObjectLines:
    """As `JsonLines` for an object in a bucket, which cannot be appended to: `flush` and `close` write all of it."""

    def __init__(self, path: AnyPath, *, after: int = 0) -> None:
        self._path = path
        self._text = self._written = _lines_until(after, path.read_text()) if path.exists() else ""

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._text += _line(step, scalars)

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        pass

    def flush(self) -> None:
        if self._text != self._written:
            replace_text(self._path, self._text)
            self._written = self._text

    def close(self) -> None:
        self.flush()


class MultiWriter:
    """Writes to all writers. A failure is logged once until the writer works again, and affects no other writer."""

    def __init__(self, writers: Mapping[str, Writer]) -> None:
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

    def _each(self, act: Callable[[Writer], None]) -> None:
        for name, writer in self._writers.items():
            try:
                act(writer)
            except Exception as error:  # TensorFlow and the system raise unrelated types
                if name not in self._failing:
                    logger.warning("%s cannot be written (%s); training continues", name, first_line(error))
                self._failing.add(name)
            else:
                self._failing.discard(name)


def open_writer(workdir: AnyPath, *, main_process: bool, after: int = 0) -> tuple[Writer, str | None]:
    """(writer of a run that resumes from step `after`, note on missing writers). Only the main process writes."""
    if not main_process:
        return MultiWriter({}), None
    if not isinstance(workdir, Path):
        lines = ObjectLines(workdir / "train.jsonl", after=after)
        return MultiWriter({"train.jsonl": lines}), "no TensorBoard files in a bucket, only train.jsonl"
    writers: dict[str, Writer] = {}
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
    return MultiWriter(writers), "; ".join(notes) or None


def _line(step: int, scalars: Mapping[str, float]) -> str:
    values = {name: float(value) if math.isfinite(value) else None for name, value in scalars.items()}
    return json.dumps({"step": step} | values) + "\n"


def _lines_until(last: int, text: str) -> str:
    return "".join(line + "\n" for line in text.splitlines() if _step(line) <= last)


def _step(line: str) -> float:
    """The step of a line of train.jsonl; infinite if the line is incomplete."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf
