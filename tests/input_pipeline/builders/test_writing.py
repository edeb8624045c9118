from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from input_pipeline.builders.base import MANY_TO_ONE, PIXELS  # noqa: E402
from input_pipeline.builders.shards import Entry, Shard  # noqa: E402
from input_pipeline.builders.writing import ShardWriter, fill, write_all  # noqa: E402
from ultrabm_jax.errors import UserError  # noqa: E402

FEATURES = tfds.features.FeaturesDict({"name": tfds.features.Text(), "low": PIXELS})


def writer_into(folder: Path) -> ShardWriter:
    return ShardWriter(folder, FEATURES, tfds.core.ExampleWriter(file_format=tfds.core.FileFormat.TFRECORD))


def test_shard_is_never_held_in_memory(tmp_path):
    images: list[weakref.ref] = []
    alive = []

    def read(entry):
        low = np.zeros((30, 40, 3), np.uint8)
        images.append(weakref.ref(low))
        alive.append(sum(image() is not None for image in images))
        return {"low": low}

    entries = tuple(Entry(str(k), {}, 3600) for k in range(50))
    assert writer_into(tmp_path)(Shard("train", "a.tfrecord", entries, read)) == 50
    assert (tmp_path / "a.tfrecord").stat().st_size > 50 * 3600
    assert max(alive) <= 2


def test_pixels_are_contiguous_in_the_file(tmp_path):
    low = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    shard = Shard("train", "a.tfrecord", (Entry("x", {}, 105),), lambda entry: {"low": low})
    writer_into(tmp_path)(shard)
    assert low.tobytes() in (tmp_path / "a.tfrecord").read_bytes()


def test_features_that_a_split_lacks_are_empty():
    features = tfds.features.FeaturesDict({**MANY_TO_ONE, "ratio": np.float32, "synthetic": np.bool_})
    filled = fill({"name": "a", "low": np.ones((2, 3, 3), np.uint8)}, features)
    assert filled.keys() == features.keys()
    assert filled["reference"].shape == (0, 0, 3)
    assert (filled["reference"].dtype, filled["reference_index"], filled["group"]) == (np.uint8, -1, "")
    assert np.isnan(filled["ratio"])
    assert filled["synthetic"] is False
    features.encode_example(filled)


def test_unwritable_folder_gives_one_line(tmp_path):
    shard = Shard("train", "a.tfrecord", (Entry("x", {}, 3),), lambda entry: {"low": np.zeros((1, 1, 3), np.uint8)})
    with pytest.raises(UserError, match=r"none/a\.tfrecord: cannot be written") as caught:
        list(write_all([shard], writer_into(tmp_path / "none"), processes=1))
    assert "\n" not in str(caught.value)
