"""Reading PyTorch files: both formats, views, types, wrappers; damaged and malicious files."""

from __future__ import annotations

import pickle

import ml_dtypes
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.pickle_objects import CorruptFile, UnsafePickle
from ultrabm_jax.storage.safe_pickle import load_arrays
from ultrabm_jax.weights import load_torch


@pytest.fixture
def view_of(torch_files):
    return torch_files["view_of"]


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8", "i8", "i4", "u1", "?", ml_dtypes.bfloat16])
def test_both_formats_read_every_type(dtype, view_of, write_zip, write_legacy):
    array = (np.arange(12).reshape(3, 4) % 7).astype(dtype)
    tree = {"a": view_of(array)}
    for path in (write_zip(tree, {"0": array.tobytes()}), write_legacy(tree, {"0": (12, array.tobytes())})):
        got = load_torch(path)["a"]
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)
        got[0, 0] = 1  # owns its memory


def test_views_of_one_storage(torch_files, write_zip):
    view = torch_files["View"]
    data = np.arange(24, dtype=np.float32)
    tree = {
        "transposed": view("0", "Float", 24, (4, 6), (1, 4)),
        "part": view("0", "Float", 24, (2, 3), (6, 2), offset=7),
        "repeated": view("0", "Float", 24, (5,), (0,), offset=3),
        "scalar": view("0", "Float", 24, (), (), offset=23),
        "empty": view("0", "Float", 24, (0, 3), (3, 1)),
    }
    got = load_torch(write_zip(tree, {"0": data.tobytes()}))
    np.testing.assert_array_equal(got["transposed"], data.reshape(6, 4).T)
    np.testing.assert_array_equal(got["part"], data[7 + np.array([[0, 2, 4], [6, 8, 10]])])
    np.testing.assert_array_equal(got["repeated"], np.full(5, 3))
    assert got["scalar"].shape == ()
    assert got["scalar"] == 23
    assert got["empty"].shape == (0, 3)


def test_big_endian_archive(view_of, write_zip):
    array = np.arange(5, dtype=np.float32) / 3
    path = write_zip({"a": view_of(array)}, {"0": array.astype(">f4").tobytes()}, byteorder="big")
    np.testing.assert_array_equal(load_torch(path)["a"], array)


def test_wrappers_and_common_prefix_are_removed(torch_files, view_of, write_zip):
    array = np.ones(3, np.float32)
    net = {"module.a": view_of(array, parameter=True), "module.b": view_of(array)}
    device = torch_files["Call"]("torch", "device", ("cpu",))
    size = torch_files["Call"]("torch", "Size", ((3, 4),))
    for key in ("params", "params_ema", "state_dict", "model"):
        path = write_zip({"epoch": 3, "where": device, "size": size, key: net}, {"0": array.tobytes()})
        assert list(load_torch(path)) == ["a", "b"]
    half_prefixed = {"module.a": view_of(array), "b": view_of(array)}
    assert list(load_torch(write_zip(half_prefixed, {"0": array.tobytes()}))) == ["module.a", "b"]


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("posix", "system"), ("builtins", "eval")])
@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_in_the_file_is_executed(module, name, legacy, tmp_path, torch_files, write_zip, write_legacy):
    program = torch_files["program"]
    marker = tmp_path / "executed"
    code = f"open({str(marker)!r}, 'w')" if name == "eval" else f"touch {marker}"
    tree = {"a": torch_files["Call"](module, name, (code,))}
    path = (write_legacy if legacy else write_zip)(tree, {})
    with pytest.raises(UserError, match=rf"no state dict .*its keys: a \(an object {module}\.{name}, not read\)$"):
        load_torch(path)
    assert not marker.exists()
    with pytest.raises(UnsafePickle, match=rf"{module}\.{name}"):  # a file of plain arrays may not even name it
        load_arrays(program(tree["a"]), name="x")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),  # protocol 4 would walk attributes
        ("numpy", "load"),
        ("torch.nn.modules.conv", "Conv2d"),  # a whole pickled module: not a state dict
        ("collections", "namedtuple"),
    ],
)
def test_other_globals_are_inert(module, name, torch_files, view_of, write_zip):
    call = torch_files["Call"](module, name, ())
    with pytest.raises(UserError, match=rf"its keys: a \(an object {module}\.{name}, not read\)$"):
        load_torch(write_zip({"a": call}, {}))
    array = np.ones(2, np.float32)
    path = write_zip({"options": call, "model": {"w": view_of(array)}}, {"0": array.tobytes()})
    assert list(load_torch(path)) == ["w"]


def test_known_functions_are_immutable(tmp_path):
    """The BUILD opcode sets attributes on any object of the stack, known functions included."""
    from ultrabm_jax.storage.safe_pickle import load_restricted

    path = tmp_path / "net"
    path.write_bytes(b"\x80\x02cm\nf\n}U\x08__code__K\x01sb.")
    with path.open("rb") as file, pytest.raises(UnsafePickle, match="change"):
        load_restricted(file, {("m", "f"): lambda: None}, name="net")


def test_a_view_beyond_its_storage_is_refused(torch_files, write_zip):
    view = torch_files["View"]
    for bad in (
        {"offset": 9},
        {"size": (11,)},
        {"stride": (2,)},
        {"stride": (-1,)},
        {"offset": -4},
        {"stride": (1, 1)},
        {"size": (2**40,), "stride": (0,)},  # terabytes out of one number
    ):
        fields = {"key": "0", "kind": "Float", "numel": 10, "size": (10,), "stride": (1,), **bad}
        with pytest.raises(CorruptFile, match="damaged"):
            load_torch(write_zip({"a": view(**fields)}, {"0": bytes(40)}))


def test_truncated_files_raise_one_error(tmp_path, view_of, write_zip, write_legacy):
    array = np.arange(40, dtype=np.float32)
    whole = write_zip({"a": view_of(array)}, {"0": array.tobytes()}, name="whole.pth").read_bytes()
    older = write_legacy({"a": view_of(array)}, {"0": (40, array.tobytes())}, name="older.pth").read_bytes()
    path = tmp_path / "cut.pth"
    for data in (whole, older):
        for length in range(0, len(data) - 1, 37):
            path.write_bytes(data[:length])
            with pytest.raises(UserError, match=r"cut\.pth"):
                load_torch(path)


def test_self_referencing_dictionary(tmp_path):
    path = tmp_path / "loop.pth"
    loop: dict = {}
    loop["model"] = loop
    parts = [pickle.dumps(item, 2) for item in (0x1950A86A20F9469CFC6C, 1001, {}, loop, [])]
    path.write_bytes(b"".join(parts))
    with pytest.raises(UserError, match="no named tensors"):
        load_torch(path)


def test_error_names_files_of_other_formats(tmp_path, view_of, write_zip):
    text = tmp_path / "notes.txt"
    text.write_text("not a network")
    with pytest.raises(UserError, match="not a PyTorch file"):
        load_torch(text)
    with pytest.raises(UserError, match="no such weights file"):
        load_torch(tmp_path / "absent.pth")
    with pytest.raises(UserError, match="no named tensors"):
        load_torch(write_zip({"epoch": 3}, {}))
    with pytest.raises(UserError, match="no named tensors"):
        load_torch(write_zip(view_of(np.ones(2, np.float32)), {"0": bytes(8)}))


@pytest.mark.parametrize(
    ("file", "tensors", "numbers"),
    [
        ("red_sony_released.pth", 63, 784_768),
        ("zero_dce_epoch99.pth", 14, 79_416),
        ("sci_easy.pth", 83, 20_390),
        ("sci_medium.pth", 83, 20_390),
        ("sci_difficult.pth", 83, 20_390),
    ],
)
def test_released_files(shared, file, tensors, numbers):
    state = load_torch(shared / "assets" / file)
    assert len(state) == tensors
    assert sum(value.size for value in state.values()) == numbers
    assert all(np.isfinite(value).all() for value in state.values())


def test_numpy_archive_is_named(tmp_path):
    np.savez(tmp_path / "net.npz", a=np.ones(3))
    with pytest.raises(UserError, match=r"net\.npz: a NumPy archive \(\.npz\), not weights in PyTorch's or the safe"):
        load_torch(tmp_path / "net.npz")
