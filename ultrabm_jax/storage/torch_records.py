"""What the pickle of a PyTorch file describes: tensors as views of storages, checked before they are read.

Classes and functions of PyTorch that a file refers to are replaced by those of `TORCH_GLOBALS`, which return records.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.storage.pickle_objects import CorruptFile, Global, Inert, Known, UnsafePickle
from ultrabm_jax.storage.safe_pickle import load_restricted

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
MAX_BROADCAST = 2**24  # elements that a tensor with stride 0 may repeat out of a smaller storage
MAX_NUMBER = 2**48  # of elements; larger sizes, strides and offsets are damage


@dataclass(frozen=True)
class StorageRecord:
    """One storage of a file: its key, a key of `DTYPES`, and its number of elements."""

    key: str
    kind: str
    numel: int


@dataclass(frozen=True)
class TensorRecord:
    """A tensor of a file: a view of a storage, unchecked. `storage` is None if the type of the tensor is not read."""

    storage: StorageRecord | None
    offset: object = 0
    size: tuple[object, ...] = ()
    stride: tuple[object, ...] = ()
    kind: str = ""  # of a tensor that is not read


class View(NamedTuple):
    """A checked view, in elements."""

    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read_records(file: BinaryIO, name: str) -> tuple[object, dict[str, StorageRecord]]:
    """The pickled object of a PyTorch file, and the storages that it refers to, by key."""
    storages: dict[str, StorageRecord] = {}

    def load_storage(pid: object) -> StorageRecord | Inert:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[2], str | int):
            raise UnsafePickle("refused: it refers to an object that is not a storage")
        kind, key, numel = pid[1], str(pid[2]), pid[4]
        if not isinstance(kind, str) or kind not in DTYPES or any(view is not None for view in pid[5:]):
            return Inert(str(kind) if isinstance(kind, Global) else "a view of a storage")
        if not isinstance(numel, int) or not 0 <= numel < MAX_NUMBER:
            raise CorruptFile(f"a storage has an impossible number of elements, {printable(repr(numel))[:80]}")
        return storages.setdefault(key, StorageRecord(key, kind, numel))

    tree = load_restricted(file, TORCH_GLOBALS, persistent_load=load_storage, inert=True, name=name)
    return tree, storages


def _rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> TensorRecord:
    if not isinstance(storage, StorageRecord):
        return _not_read(storage.name if isinstance(storage, Inert) else "no storage")
    if not isinstance(size, list | tuple) or not isinstance(stride, list | tuple):
        raise TypeError("the size or the strides of a tensor are not a tuple")
    return TensorRecord(storage, offset, tuple(size), tuple(stride))


def _rebuild_subclass(function: object, _type: object, arguments: object, *_: object) -> object:
    """The plain tensor of a tensor that has another Python class or additional attributes."""
    if isinstance(function, Global) and function.function in (_rebuild_tensor, _first) and isinstance(arguments, tuple):
        return function.function(*arguments)
    return _not_read("a subclass of Tensor")


def _first(tensor: object, *_: object) -> object:
    return tensor


def _not_read(kind: str) -> TensorRecord:
    return TensorRecord(None, kind=kind)


def _dictionary(pairs: object = (), *_: object) -> dict[str, object]:
    if not isinstance(pairs, list | tuple):
        return {}
    found = [pair for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)]
    return {pair[0]: pair[1] for pair in found}


TORCH_GLOBALS: Known = {
    **{("torch", kind): kind for kind in DTYPES},
    ("collections", "OrderedDict"): _dictionary,
    ("collections", "defaultdict"): lambda *_: {},
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_subclass,
    ("torch._utils", "_rebuild_qtensor"): lambda *_: _not_read("quantised"),
    ("torch._utils", "_rebuild_sparse_tensor"): lambda *_: _not_read("sparse"),
    ("torch._utils", "_rebuild_sparse_csr_tensor"): lambda *_: _not_read("sparse"),
    ("torch._utils", "_rebuild_nested_tensor"): lambda *_: _not_read("nested"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): lambda *_: _not_read("meta, without values"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): lambda *_: _not_read("stored as a NumPy array"),
    ("torch._utils", "_rebuild_wrapper_subclass"): lambda *_: _not_read("a subclass of Tensor"),
    ("torch", "Size"): lambda sizes=(), *_: sizes,
}


def check_view(tensor: TensorRecord, storage: StorageRecord, name: str) -> View:
    """The view, checked to lie inside its storage, because `as_strided` does not check it. Raises CorruptFile."""
    offset, size, stride = tensor.offset, _numbers(tensor.size), _numbers(tensor.stride)
    valid = len(size) == len(tensor.size) == len(stride) == len(tensor.stride) and len(size) <= 32
    if not valid or not isinstance(offset, int) or not 0 <= offset < MAX_NUMBER:
        raise CorruptFile(f"{name} is damaged (a tensor with impossible sizes or strides)")
    if math.prod(size) > max(storage.numel, MAX_BROADCAST):
        raise CorruptFile(f"{name} is damaged (a tensor of size {size} with strides {stride})")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and last >= storage.numel:
        raise CorruptFile(f"{name} is damaged (a tensor extends beyond its storage {printable(storage.key)})")
    return View(offset, size, stride)


def _numbers(values: tuple[object, ...]) -> tuple[int, ...]:
    """Those of the values that are possible sizes or strides."""
    return tuple(value for value in values if isinstance(value, int) and 0 <= value < MAX_NUMBER)
