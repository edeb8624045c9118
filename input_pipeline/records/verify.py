"""Verifies the checksums of a prepared data set. Needs TensorFlow, and reads every byte."""

from __future__ import annotations

from pathlib import Path

from input_pipeline.files.listing import Defect
from input_pipeline.progress import Progress, no_progress
from input_pipeline.records.shard import BadShard
from input_pipeline.records.split import open_records
from ultrabm_jax.errors import UserError
from ultrabm_jax.extras import missing_extra


def verify(
    data_dir: str | Path, name: str, split: str, *, progress: Progress = no_progress
) -> tuple[int, list[Defect]]:
    """Returns the number of examples in intact shards of a split, and a defect for each damaged shard."""
    try:
        records = open_records(data_dir, name, split)
    except BadShard as error:
        return 0, [Defect("shard", str(error))]
    intact, defects = 0, []
    for path in progress(iter([shard.path for shard in records.shards]), len(records.shards)):
        try:
            intact += _count_examples(path)
        except BadShard as error:
            defects.append(Defect("shard", str(error)))
    return intact, defects


def _count_examples(path: Path) -> int:
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UserError(missing_extra("tensorflow", "checking records")) from error
    count = 0
    try:
        for _ in tf.data.TFRecordDataset(str(path), buffer_size=8 << 20):
            count += 1
    except (tf.errors.DataLossError, tf.errors.OpError) as error:
        raise BadShard(path, f"record {count} is damaged (wrong checksum)") from error
    return count
