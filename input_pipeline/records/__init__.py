"""Reads the records that `python -m input_pipeline.prepare` writes, one crop at a time and without TFDS.

split = open_records(data_dir, "rellisur/x2", "train")
len(split); split.value(3, "name"); split.pixels(3, "low").crop(top, left, height, width)

The builders store pixels uncompressed, so each image is contiguous in its shard and a crop reads only its own rows: no
decoding, no TensorFlow, and no memory that grows with the data set. `tfds.load` reads the same files.
"""

from input_pipeline.records.names import record_name
from input_pipeline.records.pixels import RecordImage
from input_pipeline.records.shard import BadShard
from input_pipeline.records.split import RecordSplit, find_records, open_records, split_names
from input_pipeline.records.verify import verify

__all__ = [
    "BadShard",
    "RecordImage",
    "RecordSplit",
    "find_records",
    "open_records",
    "record_name",
    "split_names",
    "verify",
]
