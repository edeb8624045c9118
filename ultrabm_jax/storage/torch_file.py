"""Read PyTorch checkpoint files without PyTorch, executing nothing from them.

Two formats: the zip archive (since 1.6: `data.pkl`, `byteorder`, one file `data/KEY` per storage) and the legacy
stream (magic number, protocol, system info, object, list of storage keys, then per key its length and its bytes). In
both a pickle describes tensors as views (offset, size, strides) of storages; here it is read by the restricted
unpickler into inert records, and only afterwards are arrays made, every view checked against its storage.
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
from ultrabm_jax.storage.safe_pickle import DamagedFile, Globals, UnsafePickle, load
from ultrabm_jax.storage.state_dict import strip_common_prefix

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
WRAPPERS = ("params_ema", "params", "state_dict", "model")  # the first that holds tensors is the network
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
DEEPEST = 4  # dictionaries in dictionaries
LARGEST_EXPANSION = 2**24  # numbers that a tensor may repeat (stride 0) out of a smaller storage
NUMBER_TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


@dataclass(frozen=True)
class _Storage:
    key: str
    kind: str
    numel: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Dict(dict):
    """torch's OrderedDict; the attributes it carries (`_metadata`) are dropped."""

    def __setstate__(self, state: Any) -> None:
        pass


def load_torch(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """{name: array} of a checkpoint's network, its wrapper and a common "module." prefix taken off."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such weights file: {path}")
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        tree = (_read_zip if start == b"PK" else _read_legacy)(file, str(path))
    tensors = {str(key): value for key, value in _unwrap(tree, depth=DEEPEST).items() if isinstance(value, np.ndarray)}
    if not tensors:
        raise UserError(f"{path} holds no named tensors (looked at the top and below {', '.join(WRAPPERS)})")
    return strip_common_prefix(tensors, "module.")


def _unwrap(tree: Any, *, depth: int) -> Mapping[Any, Any]:
    if not isinstance(tree, dict) or not depth:
        return {}
    if any(isinstance(value, np.ndarray) for value in tree.values()):
        return tree
    for key in WRAPPERS:
        if found := _unwrap(tree.get(key), depth=depth - 1):
            return found
    return {}


def _read_zip(file: BinaryIO, name: str) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            inside = archive.namelist()
            root = next((entry.removesuffix("data.pkl") for entry in inside if entry.endswith("data.pkl")), None)
            if root is None:
                raise UserError(f"{name} is a zip archive but not a PyTorch file: it has no data.pkl")
            big_endian = root + "byteorder" in inside and archive.read(root + "byteorder") == b"big"
            tree, storages = _read_tree(io.BytesIO(archive.read(root + "data.pkl")), name)
            raw = {key: archive.read(f"{root}data/{key}") for key in storages}
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        raise DamagedFile(f"{name} is damaged or cut short ({error})") from error
    return _materialise(tree, raw, big_endian=big_endian, name=name)


def _read_legacy(file: BinaryIO, name: str) -> Any:
    try:
        magic = load(file, {}, name=name)
    except DamagedFile:
        magic = None
    if magic != LEGACY_MAGIC:
        raise UserError(f"{name} is not a PyTorch file (neither a zip archive nor the older stream)")
    load(file, {}, name=name)  # protocol
    load(file, {}, name=name)  # system info; the numbers are little-endian whatever it says
    tree, storages = _read_tree(file, name)
    raw = {}
    for key in load(file, {}, name=name):
        storage = storages.get(str(key))
        numel = int.from_bytes(file.read(8), "little")
        if storage is None or numel != storage.numel:
            raise DamagedFile(f"{name} is damaged or cut short (at storage {key})")
        raw[storage.key] = file.read(numel * DTYPES[storage.kind].itemsize)
    return _materialise(tree, raw, big_endian=False, name=name)


def _read_tree(file: BinaryIO, name: str) -> tuple[Any, dict[str, _Storage]]:
    """The pickled object with `_Tensor` records in it, and the storages they refer to by key."""
    storages: dict[str, _Storage] = {}

    def refer(identity: Any) -> _Storage:
        tag, kind, key, _, numel, *view = identity
        if tag != "storage" or kind not in DTYPES or any(view):
            raise UnsafePickle(f"refused: it refers to {tag!r} of type {kind!r}, which is no plain storage")
        return storages.setdefault(str(key), _Storage(str(key), kind, int(numel)))

    return load(file, _permitted(), persistent=refer, name=name), storages


def _permitted() -> Globals:
    types = {("torch", kind): kind for kind in (*DTYPES, *NUMBER_TYPES)}
    return {
        **types,
        ("collections", "OrderedDict"): _Dict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, size, stride, *_: _Tensor(
            storage, offset, tuple(size), tuple(stride)
        ),
        ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        ("torch", "Size"): lambda sizes=(): tuple(sizes),
        ("torch", "device"): lambda *_: None,
    }


def _materialise(
    node: Any, raw: Mapping[str, bytes], *, big_endian: bool, name: str, depth: int = DEEPEST
) -> dict[Any, Any] | np.ndarray | None:
    """The same nest of dictionaries with arrays for tensor records; anything else, or deeper, is not read."""
    if isinstance(node, dict) and depth:
        below = functools.partial(_materialise, raw=raw, big_endian=big_endian, name=name, depth=depth - 1)
        return {key: below(value) for key, value in node.items()}
    return _view(node, raw, big_endian=big_endian, name=name) if isinstance(node, _Tensor) else None


def _view(tensor: _Tensor, raw: Mapping[str, bytes], *, big_endian: bool, name: str) -> np.ndarray:
    storage, dtype = tensor.storage, DTYPES[tensor.storage.kind]
    data = raw.get(storage.key, b"")
    if len(data) != storage.numel * dtype.itemsize:
        raise DamagedFile(f"{name} is damaged or cut short (storage {storage.key} has {len(data)} bytes)")
    _check_view(tensor, name)
    flat = np.frombuffer(data, dtype)
    if big_endian:
        flat = flat.byteswap()
    strides = tuple(step * dtype.itemsize for step in tensor.stride)
    # copied, so that the array owns its memory, is writable, and does not keep a larger storage alive
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.size, strides).copy()


def _check_view(tensor: _Tensor, name: str) -> None:
    """as_strided reads whatever memory it is told to, so the view must lie inside its storage."""
    numbers = (tensor.offset, *tensor.size, *tensor.stride)
    whole = all(isinstance(number, int) and number >= 0 for number in numbers)
    limit = max(tensor.storage.numel, LARGEST_EXPANSION)
    if not whole or len(tensor.size) != len(tensor.stride) or math.prod(tensor.size) > limit:
        raise DamagedFile(f"{name} is damaged (a tensor of size {tensor.size} with strides {tensor.stride})")
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    if 0 not in tensor.size and last >= tensor.storage.numel:
        raise DamagedFile(f"{name} is damaged (a tensor reaches beyond its storage {tensor.storage.key})")
