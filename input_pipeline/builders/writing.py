"""Writes shards in parallel; a killed process loses only its unfinished shards.

A shard is written under a temporary name and renamed when complete, so a shard under its final name is never written
again. Examples are streamed; a shard is never held in memory (as TFDS's own ShardWriter does).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from input_pipeline.builders.shards import Example, Shard
from ultrabm_jax.errors import UserError

UNFINISHED = ".unfinished"


@dataclass(frozen=True)
class ShardWriter:
    """Writes the shards of a data set into a folder; can be pickled for other processes."""

    folder: Path
    features: tfds.features.FeaturesDict
    writer: tfds.core.ExampleWriter

    def __call__(self, shard: Shard) -> int:
        """Writes one shard; returns its number of examples."""
        target = self.folder / shard.file_name
        unfinished = target.with_name(target.name + UNFINISHED)
        try:
            self.writer.write(unfinished, self._serialised(shard))
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
            unfinished.rename(target)
        except UserError as error:
            raise UserError(str(error)) from None  # its subclasses cannot be unpickled
        except _write_errors() as error:
            raise UserError(f"{target}: cannot be written ({' '.join(str(error).split())})") from None
        return len(shard.entries)

    def _serialised(self, shard: Shard) -> Iterator[tuple[str, bytes]]:
        serializer = tfds.core.ExampleSerializer(self.features.get_serialized_info())
        for name, example in shard():
            proto = serializer.get_tf_example(self.features.encode_example(fill(example, self.features)))
            yield name, proto.SerializeToString(deterministic=True)  # otherwise the order of the features varies


def fill(example: Example, features: tfds.features.FeaturesDict) -> Example:
    """Adds the features that the example's split lacks: empty arrays, "", -1, nan, False."""
    return {name: example[name] if name in example else _empty(feature) for name, feature in features.items()}


def write_all(shards: Sequence[Shard], writer: ShardWriter, *, processes: int) -> Iterator[int]:
    """Writes shards in any order; yields the number of examples of each finished shard.

    After the first error, no further shard is started; those in progress are finished.
    """
    if processes <= 1 or len(shards) <= 1:
        yield from map(writer, shards)
        return
    with ProcessPoolExecutor(
        min(processes, len(shards)), mp_context=get_context("spawn"), initializer=_start_worker
    ) as pool:
        try:
            yield from _results(as_completed([pool.submit(writer, shard) for shard in shards]))
        except BrokenProcessPool as error:
            message = "a writing process was killed, perhaps out of memory: use fewer --processes and start again"
            raise UserError(f"{message} (finished shards are kept)") from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Locks the folder for this process; the lock is released when the process ends for any reason."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another process is writing these records") from None
        for left in folder.glob("*" + UNFINISHED):
            left.unlink()
        yield


def _results(futures: Iterable[Future[int]]) -> Iterator[int]:
    for future in futures:
        yield future.result()


def _empty(feature: Any) -> Any:  # a feature of TFDS, which has no types, and a value that it takes
    if feature.shape:
        return np.zeros([side or 0 for side in feature.shape], feature.np_dtype)
    if isinstance(feature, tfds.features.Text):
        return ""
    return {"i": -1, "f": np.nan, "b": False}[np.dtype(feature.np_dtype).kind]


def _write_errors() -> tuple[type[Exception], ...]:
    import tensorflow as tf

    return OSError, tf.errors.OpError


def _start_worker() -> None:
    """Ends the worker when its parent is killed, and leaves interrupts to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
