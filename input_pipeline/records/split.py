"""Reads one split of a prepared data set from the files that TFDS writes beside the shards.

DATA_DIR/NAME[/CONFIG]/VERSION/dataset_info.json      splits and how many examples each shard holds
DATA_DIR/NAME[/CONFIG]/VERSION/features.json          type and encoding of each feature
DATA_DIR/NAME[/CONFIG]/VERSION/NAME-SPLIT.tfrecord-00000-of-00003
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from input_pipeline.files.listing import MissingData
from input_pipeline.records.example import Feature
from input_pipeline.records.pixels import RecordImage
from input_pipeline.records.shard import BadShard, Shard
from ultrabm_jax.errors import UserError

PREPARE = "`python -m input_pipeline.prepare {name} --data_dir {data_dir} --manual_dir ...`"


class RecordSplit:
    """Numbered examples. Opening reads the small features of all examples and no pixels."""

    def __init__(self, folder: Path, name: str, counts: list[int], features: dict[str, dict[str, dict[str, str]]]):
        self.folder, self.name, self._features = folder, name, features
        stem = json.loads((folder / "dataset_info.json").read_text())["name"]
        paths = [folder / f"{stem}-{name}.tfrecord-{k:05d}-of-{len(counts):05d}" for k in range(len(counts))]
        self.shards = [Shard(path, count) for path, count in zip(paths, counts, strict=True)]
        self._ends = list(accumulate(counts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __contains__(self, feature: str) -> bool:
        return feature in self._features

    def value(self, i: int, feature: str) -> Any:  # of the type that features.json states
        """A scalar or text feature."""
        shard, example = self._example(i)
        value = self._raw(shard, example, feature)[0]
        if isinstance(value, tuple):
            return shard.text(value)
        return bool(value) if self._dtype(feature) == np.bool_ else value

    def pixels(self, i: int, feature: str) -> RecordImage:
        """An array feature, `tfds.features.Tensor(encoding=Encoding.BYTES)`, without reading it."""
        shard, example = self._example(i)
        ((start, stop),) = self._raw(shard, example, f"{feature}/value")
        shape = tuple(self._raw(shard, example, f"{feature}/shape"))
        dtype = self._dtype(feature)
        if stop - start != math.prod(shape) * dtype.itemsize:
            raise BadShard(
                shard.path, f"{feature} of example {i} has {stop - start} bytes, which is not {shape} {dtype}"
            )
        return RecordImage(shard, start, shape, dtype)

    @cached_property
    def names(self) -> list[str]:
        """The names of all examples."""
        return [self.value(i, "name") for i in range(len(self))]

    def _example(self, i: int) -> tuple[Shard, dict[str, Feature]]:
        k = bisect_right(self._ends, i)
        return self.shards[k], self.shards[k].examples[i - (self._ends[k - 1] if k else 0)]

    # Any: values of the type that features.json states
    def _raw(self, shard: Shard, example: dict[str, Feature], key: str) -> list[Any]:
        if key not in example:
            raise BadShard(shard.path, f"an example has no feature {key!r}")
        return example[key]

    def _dtype(self, feature: str) -> np.dtype:
        kind = self._features[feature].get("tensor", {}).get("dtype")
        return np.dtype(kind) if kind else np.dtype(object)


def open_records(data_dir: str | Path, name: str, split: str) -> RecordSplit:
    """Opens a split of data set `name` ("lol/v1").

    Raises MissingData if the data set was never prepared, BadShard if a shard is damaged, UserError if there is no such
    split.
    """
    folder = find_records(data_dir, name)
    counts = _shard_counts(folder)
    if split not in counts:
        raise UserError(f"{folder} has no split {split!r}; it has: {', '.join(counts)}")
    features = json.loads((folder / "features.json").read_text())["featuresDict"]["features"]
    return RecordSplit(folder, split, counts[split], features)


def find_records(data_dir: str | Path, name: str) -> Path:
    """The folder of the newest version of a prepared data set; raises MissingData if there is none."""
    folder = Path(data_dir).expanduser() / name
    versions = [path.parent for path in folder.glob("*/dataset_info.json")]
    if not versions:
        how = PREPARE.format(name=name, data_dir=data_dir)
        raise MissingData(f"{folder} holds no prepared data set: run {how}, or leave data.records empty")
    return max(versions, key=lambda path: tuple(int(part) for part in path.name.split(".")))


def split_names(folder: Path) -> list[str]:
    """The splits of a prepared data set."""
    return list(_shard_counts(folder))


def _shard_counts(folder: Path) -> dict[str, list[int]]:
    info = json.loads((folder / "dataset_info.json").read_text())
    return {split["name"]: [int(count) for count in split["shardLengths"]] for split in info["splits"]}
