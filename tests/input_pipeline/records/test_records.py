"""The reader against TFDS, on files that TFDS wrote."""

from __future__ import annotations

import os
import shutil
import threading

import numpy as np
import pytest

from input_pipeline.records import BadShard, open_records, verify
from input_pipeline.records.example import parse_example
from input_pipeline.records.file_bytes import FileBytes
from ultrabm_jax.errors import UserError

tfds = pytest.importorskip("tensorflow_datasets")

SIZES = [(4, 6), (5, 3), (64, 48), (7, 900), (1, 1)]


def images() -> list[np.ndarray]:
    return [np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8) for i, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A data set `toy` of two shards, version 1.0.0."""
    folder = tmp_path_factory.mktemp("records")
    f = tfds.features
    as_stored = f.Encoding.BYTES
    features = f.FeaturesDict(
        {
            "name": f.Text(),
            "ev": np.float32,
            "number": np.int64,
            "synthetic": np.bool_,
            "low": f.Tensor(shape=(None, None, 3), dtype=np.uint8, encoding=as_stored),
            "mosaic": f.Tensor(shape=(None, None), dtype=np.uint16, encoding=as_stored),
        }
    )
    from tensorflow_datasets.core import example_serializer, file_adapters, naming

    serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
    place = folder / "toy" / "1.0.0"
    place.mkdir(parents=True)
    examples = [
        {"name": f"name {i} \N{BLACK STAR}", "ev": -i / 2, "number": i - 3, "synthetic": i % 2 == 1, "low": image,
         "mosaic": image[..., 0].astype(np.uint16) * 257}
        for i, image in enumerate(images())
    ]  # fmt: skip
    adapter = file_adapters.ADAPTER_FOR_FORMAT[file_adapters.FileFormat.TFRECORD]
    for k, part in enumerate((examples[:3], examples[3:])):
        rows = [(i, serializer.serialize_example(features.encode_example(example))) for i, example in enumerate(part)]
        adapter.write_examples(place / f"toy-train.tfrecord-{k:05d}-of-00002", rows)
    template = naming.ShardedFileTemplate(
        template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}", dataset_name="toy", data_dir=place, split="train",
        filetype_suffix="tfrecord",
    )  # fmt: skip
    split = tfds.core.SplitInfo(name="train", shard_lengths=[3, 2], num_bytes=0, filename_template=template)
    tfds.folder_dataset.write_metadata(data_dir=place, features=features, split_infos=[split])
    info = (place / "dataset_info.json").read_text()
    if '"name": "toy"' not in info:  # write_metadata knows no name of the data set
        import json

        (place / "dataset_info.json").write_text(json.dumps(json.loads(info) | {"name": "toy"}))
    return folder


@pytest.fixture
def copy(written, tmp_path):
    shutil.copytree(written, tmp_path / "copy")
    return tmp_path / "copy"


def shard(folder, k=1):
    return folder / "toy" / "1.0.0" / f"toy-train.tfrecord-{k:05d}-of-00002"


def test_every_feature_is_read_back_in_order(written):
    split = open_records(written, "toy", "train")
    assert len(split) == 5
    assert split.names == [f"name {i} \N{BLACK STAR}" for i in range(5)]
    for i, image in enumerate(images()):
        assert split.value(i, "ev") == -i / 2
        assert split.value(i, "number") == i - 3
        assert split.value(i, "synthetic") is (i % 2 == 1)
        np.testing.assert_array_equal(split.pixels(i, "low").whole(), image)
        mosaic = split.pixels(i, "mosaic")
        assert mosaic.size == SIZES[i]
        np.testing.assert_array_equal(mosaic.whole(), image[..., 0].astype(np.uint16) * 257)
    assert "low" in split
    assert "reference" not in split


def test_tfds_reads_the_same_examples(written):
    builder = tfds.builder_from_directory(written / "toy" / "1.0.0")
    read = [example["low"] for example in tfds.as_numpy(builder.as_dataset(split="train", shuffle_files=False))]
    assert len(read) == 5
    for image, other in zip(images(), read, strict=True):
        np.testing.assert_array_equal(image, other)


def test_any_crop_equals_the_window_of_the_image(written):
    split = open_records(written, "toy", "train")
    rng = np.random.default_rng(0)
    for i, image in enumerate(images()):
        pixels = split.pixels(i, "low")
        for _ in range(20):
            h, w = (int(rng.integers(1, side + 1)) for side in pixels.size)
            top, left = int(rng.integers(pixels.size[0] - h + 1)), int(rng.integers(pixels.size[1] - w + 1))
            np.testing.assert_array_equal(pixels.crop(top, left, h, w), image[top : top + h, left : left + w])


def test_concurrent_reads_are_independent(written):
    split = open_records(written, "toy", "train")
    wrong = []

    def read(seed: int) -> None:
        for i in np.random.default_rng(seed).integers(0, 5, 200):
            if not np.array_equal(split.pixels(int(i), "low").whole(), images()[i]):
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_no_mapping_is_kept(written):
    split = open_records(written, "toy", "train")
    crops = [split.pixels(2, "low").crop(0, 0, 64, 48) for _ in range(100)]
    with open("/proc/self/maps") as maps:
        assert "toy-train.tfrecord" not in maps.read()
    assert len(crops) == 100


def test_a_shard_cut_in_half_is_named(copy):
    path = shard(copy, 0)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(BadShard, match=r"toy-train\.tfrecord-00000-of-00002: truncated: record 2 .*prepare` again"):
        open_records(copy, "toy", "train")


def test_a_shard_cut_between_records_is_named(copy):
    path = shard(copy, 1)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    os.truncate(path, 12 + length + 4)
    with pytest.raises(BadShard, match=r"00001-of-00002: holds 1 records, dataset_info\.json says 2"):
        open_records(copy, "toy", "train")


def test_missing_and_empty_shards_are_named(copy):
    shard(copy, 1).write_bytes(b"")
    with pytest.raises(BadShard, match="00001-of-00002: empty file"):
        open_records(copy, "toy", "train")
    shard(copy, 1).unlink()
    with pytest.raises(BadShard, match="00001-of-00002: cannot be opened"):
        open_records(copy, "toy", "train")


def test_a_flipped_bit_in_the_pixels_is_found_by_verify(copy):
    assert verify(copy, "toy", "train") == (5, [])
    path = shard(copy, 0)
    content = bytearray(path.read_bytes())
    # The last of three records, its last quarter: pixels, in either order of its two images.
    content[-len(content) // 12] ^= 1
    path.write_bytes(content)
    assert len(open_records(copy, "toy", "train")) == 5
    whole, (defect,) = verify(copy, "toy", "train")
    assert whole == 2
    assert defect.kind == "shard"
    assert "00000-of-00002: record 2 is damaged" in defect.what


def test_missing_data_is_explained(written):
    with pytest.raises(UserError, match=r"no prepared data set: run `python -m input_pipeline\.prepare lol/v1"):
        open_records(written, "lol/v1", "train")
    with pytest.raises(UserError, match="no split 'test'; it has: train"):
        open_records(written, "toy", "test")


def test_random_bytes_are_refused_or_hold_nothing():
    rng, refused = np.random.default_rng(0), 0
    for _ in range(300):
        data = rng.integers(0, 256, int(rng.integers(1, 60)), np.uint8).tobytes()
        try:
            assert parse_example(data, 0, len(data)) == {}
        except (ValueError, IndexError):
            refused += 1
    assert refused > 200


def test_file_bytes_are_the_bytes_of_the_file(tmp_path):
    data = np.random.default_rng(0).bytes(3 * 4096 + 17)
    path = tmp_path / "data"
    path.write_bytes(data)
    file = os.open(path, os.O_RDONLY)
    try:
        view = FileBytes(file)
        assert len(view) == len(data)
        for start, stop in [(0, 5), (4090, 4100), (4100, 4095), (3 * 4096, 3 * 4096 + 17), (10, 9000), (0, 10**6)]:
            assert view[start:stop] == data[start:stop]
        assert [view[i] for i in (0, 4096, len(data) - 1)] == [data[i] for i in (0, 4096, len(data) - 1)]
        with pytest.raises(IndexError):
            view[len(data)]
    finally:
        os.close(file)
