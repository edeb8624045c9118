"""safetensors files: round trips of every type and layout, and damaged files."""

from __future__ import annotations

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.pickle_objects import CorruptFile
from ultrabm_jax.weights import load_torch, save_safetensors

TYPES = ["f4", "f2", "f8", "i8", "i4", "i2", "i1", "u1", "u2", "u4", "u8", "?", ml_dtypes.bfloat16, ">f4", ">i8"]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_round_trip_of_every_type_and_layout(tmp_path, dtype):
    arrays = {
        "weight": (np.arange(24).reshape(2, 3, 4) % 5).astype(dtype),
        "transposed": (np.arange(6).reshape(2, 3) % 5).astype(dtype).T,
        "fortran": np.asfortranarray((np.arange(6).reshape(2, 3) % 5).astype(dtype)),
        "strided": (np.arange(12) % 5).astype(dtype)[::-2],
        "scalar": np.array(1, dtype),
        "empty": np.zeros((0, 3), dtype),
    }
    path = tmp_path / "net.safetensors"
    save_safetensors(path, arrays)
    got = load_torch(path)
    assert list(got) == sorted(arrays)
    for name, array in arrays.items():
        assert got[name].dtype == array.dtype.newbyteorder("=")
        assert got[name].shape == array.shape
        np.testing.assert_array_equal(got[name], array)
        got[name][...] = 0  # writable
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


def test_other_readers_and_writers(tmp_path):
    arrays = {"a": np.arange(3.0), "b": np.ones((2, 2), np.float32)}
    save_safetensors(tmp_path / "ours", arrays)
    theirs = load_file(tmp_path / "ours")
    save_file(arrays, tmp_path / "theirs")
    for got in (theirs, load_torch(tmp_path / "theirs")):
        for name, array in arrays.items():
            np.testing.assert_array_equal(got[name], array)


def test_prefixes_are_removed(tmp_path):
    save_safetensors(tmp_path / "net", {"model.module.a": np.ones(2), "model.module.b": np.ones(2)})
    assert list(load_torch(tmp_path / "net")) == ["a", "b"]


def test_shards_are_read_by_their_index(tmp_path):
    arrays = {f"model.{name}": np.full(2, value, np.float32) for value, name in enumerate("dbca")}
    files = ["a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"]
    shards = {name: files[index % 2] for index, name in enumerate(arrays)}
    for file in files:
        save_safetensors(tmp_path / file, {name: arrays[name] for name in arrays if shards[name] == file})
    index = tmp_path / "a.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 32}, "weight_map": shards}))
    got = load_torch(index)
    assert list(got) == ["a", "b", "c", "d"]
    for name, array in got.items():
        np.testing.assert_array_equal(array, arrays[f"model.{name}"])
    with pytest.raises(UserError, match="no keys to choose from"):
        load_torch(index, key="params")
    index.write_text(json.dumps({"weight_map": {**shards, "model.e": files[0]}}))
    with pytest.raises(CorruptFile, match=r"index\.json is damaged: 1 tensors are not in .* first model\.e$"):
        load_torch(index)
    (tmp_path / files[1]).unlink()
    with pytest.raises(
        UserError, match=r"index\.json names a-00002-of-00002\.safetensors, .* needs every file that it names$"
    ):
        load_torch(index)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"error": "gated"}', r"not an index of safetensors files \(no weight_map\)$"),
        ("{", "no weight_map"),
        ('{"weight_map": []}', "no weight_map"),
        (
            '{"weight_map": {"a": "../a.safetensors"}}',
            r"names \.\./a\.safetensors, which is not a safetensors file beside",
        ),
        ('{"weight_map": {"a": "a.bin"}}', r"names a\.bin, which is not a safetensors file beside it$"),
    ],
)
def test_damaged_indices(tmp_path, text, reason):
    (tmp_path / "net.safetensors.index.json").write_text(text)
    with pytest.raises(CorruptFile, match=reason):
        load_torch(tmp_path / "net.safetensors.index.json")


def test_unsupported_values_leave_no_file(tmp_path):
    for value in (np.array(["text"]), np.array([{}]), {"nested": np.ones(2)}):
        with pytest.raises(UserError, match=r"no tensors of type .* \(a\)"):
            save_safetensors(tmp_path / "net", {"a": value})
    assert list(tmp_path.iterdir()) == []


def test_no_key_to_choose(tmp_path):
    save_safetensors(tmp_path / "net", {"a": np.ones(2)})
    with pytest.raises(UserError, match="no keys to choose from"):
        load_torch(tmp_path / "net", key="params")


def write(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        ({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}}, b"1234"),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        ({"a": {"dtype": "NEW", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        ({"a": 3}, b""),
        (b"{" + b"[" * 5000, b""),
        (b'{"a\xff":1}', b""),
    ],
)
def test_damaged_headers(tmp_path, header, data):
    write(tmp_path / "net", header, data)
    with pytest.raises(CorruptFile, match="net is damaged or truncated") as caught:
        load_torch(tmp_path / "net")
    assert str(caught.value).isprintable()


def test_truncations(tmp_path):
    save_safetensors(tmp_path / "whole", {"a": np.arange(50.0), "b": np.ones(3)})
    data = (tmp_path / "whole").read_bytes()
    path = tmp_path / "cut"
    for length in range(0, len(data) - 1, 13):
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match="cut"):
            load_torch(path)


def test_an_empty_state_dict_is_refused(tmp_path):
    write(tmp_path / "net", {"__metadata__": {"format": "pt"}})
    with pytest.raises(UserError, match="no tensors"):
        load_torch(tmp_path / "net")
