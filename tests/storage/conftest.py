"""Writes PyTorch files opcode by opcode: the tests need no PyTorch and can also write invalid files."""

from __future__ import annotations

import pickle
import struct
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest

KINDS = {
    "f4": "Float",
    "f2": "Half",
    "f8": "Double",
    "i8": "Long",
    "i4": "Int",
    "u1": "Byte",
    "b1": "Bool",
    "V2": "BFloat16",
}


@dataclass
class View:
    """A tensor: size and strides (in numbers) over the storage `key`."""

    key: str
    kind: str
    numel: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int = 0
    parameter: bool = False


@dataclass
class Call:
    """A call (REDUCE) of any importable name."""

    module: str
    name: str
    arguments: tuple[object, ...]


@dataclass
class Instance:
    """An object of a class (NEWOBJ) with attributes (BUILD), as protocol 2 stores most objects."""

    module: str
    name: str
    state: dict[str, object]


def reference(module: str, name: str) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode()


def emit(value: object, *, legacy: bool = False) -> bytes:
    """The opcodes that push a value."""
    nested = lambda inner: emit(inner, legacy=legacy)  # noqa: E731
    match value:
        case View(parameter=True):
            plain = View(value.key, value.kind, value.numel, value.size, value.stride, value.offset)
            return nested(
                Call("torch._utils", "_rebuild_parameter", (plain, True, Call("collections", "OrderedDict", ())))
            )
        case View():
            kind = reference("torch", value.kind + "Storage")
            identity = b"(" + nested("storage") + kind + nested(value.key) + nested("cpu") + nested(value.numel)
            identity += (b"N" if legacy else b"") + b"tQ"
            rest = (value.offset, value.size, value.stride, False, Call("collections", "OrderedDict", ()))
            arguments = b"(" + identity + b"".join(nested(item) for item in rest) + b"t"
            return reference("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"
        case Call():
            return reference(value.module, value.name) + nested(value.arguments) + b"R"
        case Instance():
            state = b"}(" + b"".join(nested(key) + nested(item) for key, item in value.state.items()) + b"u"
            return reference(value.module, value.name) + b")\x81" + state + b"b"
        case list():
            return b"](" + b"".join(nested(item) for item in value) + b"e"
        case dict():
            # as torch does: an OrderedDict with an attribute beside its items
            items = b"".join(nested(key) + nested(item) for key, item in value.items())
            state = b"}" + nested("_metadata") + b"}sb"
            return nested(Call("collections", "OrderedDict", ())) + b"(" + items + b"u" + state
        case tuple():
            return b"(" + b"".join(nested(item) for item in value) + b"t"
        case _:
            return pickle.dumps(value, 2)[2:-1]  # numbers and strings, without protocol header and STOP


def program(value: object, *, legacy: bool = False) -> bytes:
    return b"\x80\x02" + emit(value, legacy=legacy) + b"."


def view_of(array: np.ndarray, key: str = "0", **changes: object) -> View:
    kind = KINDS[array.dtype.str[1:]]
    stride = tuple(step // array.dtype.itemsize for step in array.strides)
    return View(**{"key": key, "kind": kind, "numel": array.size, "size": array.shape, "stride": stride, **changes})


@pytest.fixture
def write_zip(tmp_path):
    def write(tree: object, storages: dict[str, bytes], *, byteorder: str | None = None, name: str = "net.pth"):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("net/data.pkl", program(tree))
            if byteorder:
                archive.writestr("net/byteorder", byteorder)
            for key, data in storages.items():
                archive.writestr(f"net/data/{key}", data)
        return path

    return write


@pytest.fixture
def write_legacy(tmp_path):
    def write(tree: object, storages: dict[str, tuple[int, bytes]], *, name: str = "net.pth"):
        path = tmp_path / name
        parts = [pickle.dumps(item, 2) for item in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
        parts += [program(tree, legacy=True), pickle.dumps(sorted(storages), 2)]
        parts += [struct.pack("<q", numel) + data for _, (numel, data) in sorted(storages.items())]
        path.write_bytes(b"".join(parts))
        return path

    return write


@pytest.fixture
def torch_files():
    """The writer's types, for tests that build their own trees."""
    return {"View": View, "Call": Call, "Instance": Instance, "view_of": view_of, "program": program}
