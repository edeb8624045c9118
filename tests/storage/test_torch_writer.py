"""Writing PyTorch files; read back by our reader (torch.load was checked manually, docs/parity.md)."""

import zipfile

import ml_dtypes
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.weights import load_torch, save_torch


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8", "i8", "i4", "u1", "?", ml_dtypes.bfloat16, ">f4"])
def test_round_trip_of_every_type_and_shape(tmp_path, dtype):
    arrays = {
        "weight": (np.arange(24).reshape(2, 3, 4) % 5).astype(dtype),
        "transposed": (np.arange(6).reshape(2, 3) % 5).astype(dtype).T,
        "scalar": np.array(1, dtype),
        "empty": np.zeros((0, 3), dtype),
    }
    save_torch(tmp_path / "net.pth", arrays)
    got = load_torch(tmp_path / "net.pth")
    assert list(got) == list(arrays)
    for name, array in arrays.items():
        assert got[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(got[name], array)


def test_nested_dictionaries(tmp_path):
    save_torch(tmp_path / "net.pth", {"model": {"a": np.ones(300, np.float32)}})  # 300: beyond a one-byte integer
    np.testing.assert_array_equal(load_torch(tmp_path / "net.pth")["a"], np.ones(300))


def test_output_is_deterministic(tmp_path):
    content = {"a": np.ones(3, np.float32), "b": np.ones(5, np.float64)}
    files = [tmp_path / name / "net.pth" for name in ("first", "second")]
    for file in files:
        file.parent.mkdir()
        save_torch(file, content)
    assert files[0].read_bytes() == files[1].read_bytes()
    with zipfile.ZipFile(files[0]) as archive:
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        assert {info.filename for info in archive.infolist()} == {
            "net/data.pkl", "net/byteorder", "net/data/0", "net/data/1", "net/version"
        }  # fmt: skip


def test_unsupported_type_leaves_no_file(tmp_path):
    with pytest.raises(UserError, match="no tensors of type"):
        save_torch(tmp_path / "net.pth", {"a": np.array(["text"])})
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_replaced(tmp_path):
    for value in (1, 2):
        save_torch(tmp_path / "net.pth", {"a": np.full(2, value, np.float32)})
    np.testing.assert_array_equal(load_torch(tmp_path / "net.pth")["a"], [2, 2])
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]
