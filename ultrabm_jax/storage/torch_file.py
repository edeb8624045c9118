"""Reads PyTorch checkpoint files without PyTorch and without executing anything from them.

Two formats exist: the zip archive (PyTorch 1.6 and later: `data.pkl`, `byteorder`, one member `data/KEY` per storage)
and the legacy stream (magic number, protocol, system info, object, list of storage keys, then the length and the bytes
of each storage). In both, a pickle describes tensors as views (offset, size, strides) of storages. The pickle is read
into inert records; an array is made only of the tensors that are asked for, and every view is checked against its
storage.
"""

from __future__ import annotations

import contextlib
import io
import math
import mmap
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import ml_dtypes
import numpy as np

from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.storage.pickle_machine import CorruptFile, Global, Inert, Known, UnsafePickle
from ultrabm_jax.storage.safe_pickle import load_restricted

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
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
MAX_EXPANSION, FREE_EXPANSION = 64, 2**28  # a file may hold 64 times its own bytes, plus 256 MiB


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
    offset: Any = 0
    size: tuple[Any, ...] = ()
    stride: tuple[Any, ...] = ()
    kind: str = ""  # of a tensor that is not read


@dataclass
class TorchFile:
    """The pickled object of a file, with `TensorRecord`s in place of tensors, and the bytes of its storages."""

    tree: Any  # nested dictionaries, lists, numbers, strings, `TensorRecord` and `Inert`
    name: str
    size: int  # bytes of the file
    read_bytes: Callable[[StorageRecord], bytes]
    big_endian: bool = False
    _storages: dict[str, np.ndarray] = field(default_factory=dict)
    _made: int = 0  # bytes of the arrays made so far

    def array(self, tensor: TensorRecord) -> np.ndarray:
        """The tensor as an array that owns its memory.

        Raises:
          CorruptFile: if the tensor does not lie inside its storage, or the storage is cut off.
        """
        assert tensor.storage is not None
        _check_view(tensor, tensor.storage, self.name)
        dtype = DTYPES[tensor.storage.kind]
        self._made += math.prod(tensor.size) * dtype.itemsize
        if self._made > _limit(self.size):
            raise CorruptFile(f"{self.name} is damaged (its tensors repeat its storages {MAX_EXPANSION} times)")
        flat = self._storage(tensor.storage)
        strides = tuple(step * dtype.itemsize for step in tensor.stride)
        # The copy owns its memory, is writable, and does not keep a larger storage alive.
        return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.size, strides).copy()

    def _storage(self, storage: StorageRecord) -> np.ndarray:
        if storage.key not in self._storages:
            dtype = DTYPES[storage.kind]
            buffer = self.read_bytes(storage)
            if len(buffer) != storage.numel * dtype.itemsize:
                found = f"storage {printable(storage.key)} has {len(buffer)} bytes"
                raise CorruptFile(f"{self.name} is damaged or truncated ({found})")
            flat = np.frombuffer(buffer, dtype)
            self._storages[storage.key] = flat.byteswap() if self.big_endian else flat
        return self._storages[storage.key]


@contextlib.contextmanager
def open_torch(path: Path) -> Iterator[TorchFile]:
    """Opens a PyTorch checkpoint file, of either format. Its tensors can be read inside the context.

    Raises:
      UserError: if it is not a PyTorch file.
      UnsafePickle, CorruptFile: if it refers to data outside itself, is truncated or inconsistent.
    """
    name = printable(path)
    try:
        with path.open("rb") as file, contextlib.ExitStack() as stack:
            size = path.stat().st_size
            if file.read(2) == b"PK":
                yield stack.enter_context(_open_zip(file, name, size))
            else:
                # Reading a map never allocates more than the file has, whatever length a pickle claims.
                data = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
                yield _open_legacy(cast(BinaryIO, data), name, size)
    except UserError:
        raise
    except Exception as error:  # as many kinds as zip archives have decoders
        raise CorruptFile(f"{name} is damaged or truncated ({printable(first_line(error))})") from error


@contextlib.contextmanager
def _open_zip(file: BinaryIO, name: str, size: int) -> Iterator[TorchFile]:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        root = next((member.removesuffix("data.pkl") for member in members if member.endswith("data.pkl")), None)
        if root is None:
            raise UserError(f"{name}: a ZIP archive: unpack it (a PyTorch file would have a member data.pkl)")
        if sum(info.file_size for info in members.values()) > _limit(size):
            raise CorruptFile(f"{name} is damaged (it claims to hold more than {MAX_EXPANSION} times its size)")

        def read_bytes(storage: StorageRecord) -> bytes:
            member = f"{root}data/{storage.key}"
            if member not in members:
                raise CorruptFile(f"{name} is damaged or truncated (no storage {printable(storage.key)})")
            return archive.read(member)

        big_endian = root + "byteorder" in members and archive.read(root + "byteorder") == b"big"
        tree, _ = _read_tree(io.BytesIO(archive.read(root + "data.pkl")), name)
        yield TorchFile(tree, name, size, read_bytes, big_endian)


def _open_legacy(file: BinaryIO, name: str, size: int) -> TorchFile:
    try:
        magic = load_restricted(file, {}, name=name)
    except (CorruptFile, UnsafePickle):
        magic = None
    if magic != LEGACY_MAGIC:
        reason = "neither a zip archive nor the legacy stream"
        raise UserError(f"{name} is not a PyTorch file ({reason}), nor a safetensors file")
    load_restricted(file, {}, name=name)  # protocol version
    load_restricted(file, {}, name=name)  # system info; storages are little-endian whatever it says
    tree, storages = _read_tree(file, name)
    keys = load_restricted(file, {}, name=name)
    starts: dict[str, int] = {}
    for key in keys if isinstance(keys, list) else ():
        storage = storages.get(key) if isinstance(key, str) else None
        numel = int.from_bytes(file.read(8), "little")
        if storage is None or numel != storage.numel or storage.key in starts:
            raise CorruptFile(f"{name} is damaged or truncated (at storage {printable(key)})")
        starts[storage.key] = file.tell()
        end = file.tell() + numel * DTYPES[storage.kind].itemsize
        if end > size:
            raise CorruptFile(
                f"{name} is damaged or truncated (storage {printable(key)} ends at {end} of {size} bytes)"
            )
        file.seek(end)

    def read_bytes(storage: StorageRecord) -> bytes:
        if storage.key not in starts:
            raise CorruptFile(f"{name} is damaged or truncated (no storage {printable(storage.key)})")
        file.seek(starts[storage.key])
        return file.read(storage.numel * DTYPES[storage.kind].itemsize)

    return TorchFile(tree, name, size, read_bytes)


def _read_tree(file: BinaryIO, name: str) -> tuple[Any, dict[str, StorageRecord]]:
    """The pickled object, and the storages it refers to by key."""
    storages: dict[str, StorageRecord] = {}

    def load_storage(pid: Any) -> StorageRecord | Inert:  # Any: the persistent id is whatever the file says
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[2], str | int):
            raise UnsafePickle("refused: it refers to something that is not a storage")
        kind, key, numel = pid[1], str(pid[2]), pid[4]
        if not isinstance(kind, str) or kind not in DTYPES or any(view is not None for view in pid[5:]):
            return Inert(str(kind) if isinstance(kind, Global) else "a view of a storage")
        if not isinstance(numel, int) or not 0 <= numel < 2**48:
            raise CorruptFile(f"a storage of {type(numel).__name__} elements")
        return storages.setdefault(key, StorageRecord(key, kind, numel))

    tree = load_restricted(file, TORCH_GLOBALS, persistent_load=load_storage, inert=True, name=name)
    return tree, storages


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: object) -> TensorRecord:
    if not isinstance(storage, StorageRecord):
        return _not_read(storage.name if isinstance(storage, Inert) else "no storage")
    return TensorRecord(storage, offset, tuple(size), tuple(stride))


def _rebuild_subclass(function: Any, _type: Any, arguments: Any, *_: object) -> object:
    """A tensor with a Python class or attributes of its own: its plain tensor."""
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


def _limit(size: int) -> int:
    return MAX_EXPANSION * size + FREE_EXPANSION


def _check_view(tensor: TensorRecord, storage: StorageRecord, name: str) -> None:
    """Checks that the view lies inside its storage, because `as_strided` does not."""
    numbers = (tensor.offset, *tensor.size, *tensor.stride)
    valid = all(isinstance(number, int) and 0 <= number < 2**48 for number in numbers) and len(tensor.size) <= 32
    if not valid or len(tensor.size) != len(tensor.stride):
        raise CorruptFile(f"{name} is damaged (a tensor with impossible sizes or strides)")
    max_size = max(storage.numel, MAX_BROADCAST)
    if math.prod(tensor.size) > max_size:
        raise CorruptFile(f"{name} is damaged (a tensor of size {tensor.size} with strides {tensor.stride})")
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    if 0 not in tensor.size and last >= storage.numel:
        raise CorruptFile(f"{name} is damaged (a tensor extends beyond its storage {printable(storage.key)})")
