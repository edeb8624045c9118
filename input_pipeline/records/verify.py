"""Every byte of a prepared data set against the sums that TFRecord keeps; needs TensorFlow, and reads everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from input_pipeline.files.listing import Defect
from input_pipeline.records.shard import BadShard
from input_pipeline.records.split import open_records
from ultrabm_jax.errors import UserError

Watch = Callable[[Iterator[Path], int], Iterable[Path]]


def verify(
    data_dir: str | Path, name: str, split: str, *, watch: Watch = lambda items, count: items
) -> tuple[int, list[Defect]]:
    """(examples in whole shards, damaged shards) of one split; `watch` sees the shards as they are read."""
    try:
        records = open_records(data_dir, name, split)
    except BadShard as error:
        return 0, [Defect("shard", str(error))]
    whole, defects = 0, []
    for path in watch(iter([shard.path for shard in records.shards]), len(records.shards)):
        try:
            whole += _read(path)
        except BadShard as error:
            defects.append(Defect("shard", str(error)))
    return whole, defects


def _read(path: Path) -> int:
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UserError("checking records needs TensorFlow: pip install tensorflow-cpu") from error
    count = 0
    try:
        for _ in tf.data.TFRecordDataset(str(path), buffer_size=8 << 20):
            count += 1
    except (tf.errors.DataLossError, tf.errors.OpError) as error:
        raise BadShard(path, f"record {count} is damaged (its checksum does not fit)") from error
    return count
