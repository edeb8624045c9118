"""Damaged weight files of every form: read, or refused in one line that names the file. Soak: 20 times as many."""

from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.weights import load_torch, save_safetensors

ARRAY = np.arange(24, dtype=np.float32).reshape(4, 6)
NUMBERS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4), b"\x01\0\0\0", b"\xff" * 8)


@pytest.fixture
def whole(tmp_path, torch_files, write_zip, write_legacy):
    """(file, names of its tensors) of every form."""
    view_of, call, instance = (torch_files[name] for name in ("view_of", "Call", "Instance"))
    net = {"module.a": view_of(ARRAY), "module.b": view_of(ARRAY, parameter=True)}
    options = instance("argparse", "Namespace", {"lr": 0.1, "path": call("pathlib", "PosixPath", ("/", "data"))})
    training = {
        "epoch": 3,
        "args": options,
        "state_dict": net,
        "optimizer": {"state": {0: {"exp_avg": view_of(ARRAY)}}, "param_groups": [{"lr": 0.1}]},
    }
    linear = instance("torch.nn", "Linear", {"_parameters": net, "_buffers": {}, "_modules": {}})
    storages, legacy = {"0": ARRAY.tobytes()}, {"0": (24, ARRAY.tobytes())}
    paths = [
        write_zip(net, storages, name="plain.pth"),
        write_zip(training, storages, name="training.pth"),
        write_zip(linear, storages, name="object.pth"),
        write_legacy(training, legacy, name="legacy.pth"),
        tmp_path / "net.safetensors",
        tmp_path / "deflated.pth",
    ]
    save_safetensors(paths[4], {"module.a": ARRAY, "module.b": ARRAY})
    with zipfile.ZipFile(paths[1]) as source, zipfile.ZipFile(paths[5], "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.namelist():
            target.writestr(member, source.read(member))
    return paths


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    array = bytearray(data)
    at = int(rng.integers(0, len(array)))
    match rng.integers(0, 7):
        case 0:  # flipped bytes
            for index in rng.integers(0, len(array), 3):
                array[index] = rng.integers(0, 256)
        case 1:
            del array[at:]
        case 2:
            array[at : at + 40] = bytes(len(array[at : at + 40]))
        case 3:
            del array[at : at + int(rng.integers(1, 20))]
        case 4:
            array[at:at] = rng.integers(0, 256, 9, np.uint8).tobytes()
        case 5:  # extreme numbers
            number = NUMBERS[rng.integers(0, len(NUMBERS))]
            array[at : at + len(number)] = number
        case 6:  # an opcode for another
            opcodes = b"RbocQ.a}u)]\x81\x82\x85\x92\x93\x94"
            array[at] = opcodes[rng.integers(0, len(opcodes))]
    return bytes(array)


def rezip(path, data_pkl: bytes) -> bytes:
    """The archive with another pickle and correct checksums: damage that reaches the interpreter."""
    target = path.with_name("rezipped")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for member in source.namelist():
            archive.writestr(member, data_pkl if member.endswith("data.pkl") else source.read(member))
    return target.read_bytes()


def check(paths, folder, count: int) -> tuple[int, int]:
    """Numbers of files read and refused."""
    rng = np.random.default_rng(2026)
    target, outcomes = folder / "damaged_file", [0, 0]
    for path in paths:
        data = path.read_bytes()
        assert sorted(load_torch(path)) == ["a", "b"]
        program = zipfile.ZipFile(path).read("net/data.pkl") if zipfile.is_zipfile(path) else None
        for i in range(count):
            content = rezip(path, damaged(program, rng)) if program and i % 2 else damaged(data, rng)
            target.write_bytes(content)
            try:
                got = load_torch(target)
            except UserError as error:
                message = str(error)
                assert message.isprintable()
                assert "damaged_file" in message
                assert len(message) < 1200
                outcomes[1] += 1
            else:
                assert got
                assert all(isinstance(value, np.ndarray) and value.nbytes < 2**28 for value in got.values())
                outcomes[0] += 1
    return outcomes[0], outcomes[1]


def test_damaged_files_are_read_or_refused_in_one_line(whole, tmp_path):
    read, refused = check(whole, tmp_path, 60)
    assert read + refused == 360
    assert refused > 50


@pytest.mark.soak
def test_many_damaged_files(whole, tmp_path, capsys):
    read, refused = check(whole, tmp_path, 1200)
    with capsys.disabled():
        print(
            f"\nweights: {read + refused} damaged files; {read} read, {refused} refused in one line each, no traceback"
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file (0 bytes)"),
        (bytes(900), "begins with zeros only: an incomplete copy"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a Git LFS pointer: fetch the file"),
        (b"\n<!DOCTYPE html><html><title>Sign in</title>", "a web page: the download failed"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML text"),
        (b'{"error": "Repository not found"}', "a JSON text, perhaps a server's error"),
        (b"\x1f\x8b\x08\0" + bytes(range(60)), "a gzip archive: unpack it"),
        (b"%PDF-1.7\n", "a PDF, which is not read"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "is not a PyTorch file"),
        (pickle.dumps({"a": 1}), "is not a PyTorch file"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path, content, message):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_torch(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


def test_archives_that_are_not_pytorch_files(tmp_path):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("release/net_g.pth", b"inner")
    with pytest.raises(UserError, match=r"net\.pth: a ZIP archive: unpack it"):
        load_torch(path)
    with pytest.raises(UserError, match="a folder, not a file"):
        load_torch(tmp_path)


def test_a_compressed_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", bytes(2**29))
    assert path.stat().st_size < 2**20
    with pytest.raises(UserError, match="claims to hold more than 64 times its size"):
        load_torch(path)


def test_tensors_that_repeat_one_storage_are_limited(torch_files, write_zip):
    view = torch_files["View"]("0", "Float", 1, (2**24,), (0,))
    path = write_zip({f"t{i}": view for i in range(50)}, {"0": bytes(4)})
    with pytest.raises(UserError, match="repeat its storages"):
        load_torch(path)


def test_torchscript_archives_are_named(torch_files, write_zip):
    """As torch.jit.save writes them: code/ and constants.pkl beside data.pkl."""
    path = write_zip({"a": torch_files["view_of"](ARRAY)}, {"0": ARRAY.tobytes()})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net/code/__torch__.py", "class Net(Module):\n  pass\n")
        archive.writestr("net/constants.pkl", pickle.dumps(()))
    with pytest.raises(UserError, match=r"net\.pth: a TorchScript archive .*torch\.save\(torch\.jit\.load\(FILE\)"):
        load_torch(path)
