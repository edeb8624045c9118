"""Reads PyTorch checkpoint files without PyTorch and without executing anything from them.

Two formats exist: the zip archive (PyTorch 1.6 and later: `data.pkl`, `byteorder`, one member `data/KEY` per storage)
and the legacy stream (magic number, protocol, system info, object, list of storage keys, then the length and the bytes
of each storage). In both, a pickle describes tensors as views (offset, size, strides) of storages. The restricted
unpickler reads it into inert records; arrays are made afterwards, and every view is checked against its storage.
"""

from __future__ import annotations

import functools
import io
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.safe_pickle import AllowedGlobals, CorruptFile, UnsafePickle, load_restricted
from ultrabm_jax.storage.state_dict import strip_common_prefix

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
WRAPPERS = ("params_ema", "params", "state_dict", "model")  # keys of the network, in order of preference
DTYPES: dict[str, np.dtype] = {
    "DoubleStorage": np.dtype("f8"),
    "FloatStorage": np.dtype("f4"),
    "HalfStorage": np.dtype("f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("i8"),
    "IntStorage": np.dtype("i4"),
    "ShortStorage": np.dtype("i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
MAX_DEPTH = 4  # nested dictionaries
MAX_BROADCAST = 2**24  # elements that a tensor with stride 0 may repeat out of a smaller storage
NUMBER_TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")

Node = dict[str, "Node"] | np.ndarray | None  # a checkpoint's nested dictionaries; None: not a tensor


@dataclass(frozen=True)
class _Storage:
    key: str
    kind: str  # a key of DTYPES
    numel: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _OrderedDict(dict[object, object]):
    """Stands in for collections.OrderedDict; attributes such as `_metadata` are dropped."""

    def __setstate__(self, state: object) -> None:
        pass


def load_torch(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the network's state dict from a PyTorch checkpoint file.

    Looks for the tensors at the top level, then below the keys `WRAPPERS`. A "module." prefix that all names share (of
    torch.nn.DataParallel) is removed. Each array owns its memory and is writable.

    Raises:
      UserError: if the file is missing, is not a PyTorch file or holds no named tensors.
      UnsafePickle: if it refers to anything but plain tensors.
      CorruptFile: if it is truncated or inconsistent.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such weights file: {path}")
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        tree = (_read_zip if start == b"PK" else _read_legacy)(file, str(path))
    tensors = {name: value for name, value in _unwrap(tree, depth=MAX_DEPTH).items() if isinstance(value, np.ndarray)}
    if not tensors:
        raise UserError(f"{path} holds no named tensors (searched the top level and below {', '.join(WRAPPERS)})")
    return strip_common_prefix(tensors, "module.")


def _unwrap(tree: Node, *, depth: int) -> Mapping[str, Node]:
    """The first dictionary that holds arrays."""
    if not isinstance(tree, dict) or not depth:
        return {}
    if any(isinstance(value, np.ndarray) for value in tree.values()):
        return tree
    for key in WRAPPERS:
        if found := _unwrap(tree.get(key), depth=depth - 1):
            return found
    return {}


def _read_zip(file: BinaryIO, name: str) -> Node:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.namelist()
            root = next((member.removesuffix("data.pkl") for member in members if member.endswith("data.pkl")), None)
            if root is None:
                raise UserError(f"{name} is a zip archive but not a PyTorch file: it has no data.pkl")
            big_endian = root + "byteorder" in members and archive.read(root + "byteorder") == b"big"
            tree, storages = _read_tree(io.BytesIO(archive.read(root + "data.pkl")), name)
            data = {key: archive.read(f"{root}data/{key}") for key in storages}
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        raise CorruptFile(f"{name} is damaged or truncated ({error})") from error
    return _to_arrays(tree, data, big_endian=big_endian, name=name)


def _read_legacy(file: BinaryIO, name: str) -> Node:
    try:
        magic = load_restricted(file, {}, name=name)
    except CorruptFile:
        magic = None
    if magic != LEGACY_MAGIC:
        raise UserError(f"{name} is not a PyTorch file (neither a zip archive nor the legacy stream)")
    load_restricted(file, {}, name=name)  # protocol version
    load_restricted(file, {}, name=name)  # system info; storages are little-endian whatever it says
    tree, storages = _read_tree(file, name)
    data = {}
    for key in load_restricted(file, {}, name=name):
        storage = storages.get(str(key))
        numel = int.from_bytes(file.read(8), "little")
        if storage is None or numel != storage.numel:
            raise CorruptFile(f"{name} is damaged or truncated (at storage {key})")
        data[storage.key] = file.read(numel * DTYPES[storage.kind].itemsize)
    return _to_arrays(tree, data, big_endian=False, name=name)


def _read_tree(file: BinaryIO, name: str) -> tuple[object, dict[str, _Storage]]:
    """The pickled object with `_Tensor` records in place of tensors, and the storages they refer to by key."""
    storages: dict[str, _Storage] = {}

    def load_storage(pid: Any) -> _Storage:  # Any: the persistent id is whatever the file says
        tag, kind, key, _, numel, *view = pid
        if tag != "storage" or kind not in DTYPES or any(view):
            raise UnsafePickle(f"refused: it refers to {tag!r} of type {kind!r}, which is not a plain storage")
        return storages.setdefault(str(key), _Storage(str(key), kind, int(numel)))

    return load_restricted(file, _torch_globals(), persistent_load=load_storage, name=name), storages


def _torch_globals() -> AllowedGlobals:
    types = {("torch", kind): kind for kind in (*DTYPES, *NUMBER_TYPES)}
    return {
        **types,
        ("collections", "OrderedDict"): _OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, size, stride, *_: _Tensor(
            storage, offset, tuple(size), tuple(stride)
        ),
        ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        ("torch", "Size"): lambda sizes=(): tuple(sizes),
        ("torch", "device"): lambda *_: None,
    }


def _to_arrays(node: object, data: Mapping[str, bytes], *, big_endian: bool, name: str, depth: int = MAX_DEPTH) -> Node:
    """Replaces tensor records by arrays; everything else, and what lies deeper than `depth`, becomes None."""
    if isinstance(node, dict) and depth:
        convert = functools.partial(_to_arrays, data=data, big_endian=big_endian, name=name, depth=depth - 1)
        return {str(key): convert(value) for key, value in node.items()}
    return _view(node, data, big_endian=big_endian, name=name) if isinstance(node, _Tensor) else None


def _view(tensor: _Tensor, data: Mapping[str, bytes], *, big_endian: bool, name: str) -> np.ndarray:
    storage, dtype = tensor.storage, DTYPES[tensor.storage.kind]
    buffer = data.get(storage.key, b"")
    if len(buffer) != storage.numel * dtype.itemsize:
        raise CorruptFile(f"{name} is damaged or truncated (storage {storage.key} has {len(buffer)} bytes)")
    _check_view(tensor, name)
    flat = np.frombuffer(buffer, dtype)
    if big_endian:
        flat = flat.byteswap()
    strides = tuple(step * dtype.itemsize for step in tensor.stride)
    # The copy owns its memory, is writable, and does not keep a larger storage alive.
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.size, strides).copy()


def _check_view(tensor: _Tensor, name: str) -> None:
    """Checks that the view lies inside its storage, because `as_strided` does not."""
    numbers = (tensor.offset, *tensor.size, *tensor.stride)
    valid = all(isinstance(number, int) and number >= 0 for number in numbers)
    max_size = max(tensor.storage.numel, MAX_BROADCAST)
    if not valid or len(tensor.size) != len(tensor.stride) or math.prod(tensor.size) > max_size:
        raise CorruptFile(f"{name} is damaged (a tensor of size {tensor.size} with strides {tensor.stride})")
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    if 0 not in tensor.size and last >= tensor.storage.numel:
        raise CorruptFile(f"{name} is damaged (a tensor extends beyond its storage {tensor.storage.key})")
