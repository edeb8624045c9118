"""Reads PyTorch checkpoint files without PyTorch and without executing anything from them.

Two formats exist: the zip archive (PyTorch 1.6 and later: `data.pkl`, `byteorder`, one member `data/KEY` per storage)
and the legacy stream (magic number, protocol, system info, object, list of storage keys, then the length and the bytes
of each storage). In both, a pickle describes tensors as views (offset, size, strides) of storages. The pickle is read
into records (torch_records.py), and an array is made only for a tensor that is requested.
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
from typing import BinaryIO, cast

import numpy as np

from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.storage.pickle_objects import CorruptFile, UnsafePickle
from ultrabm_jax.storage.safe_pickle import load_restricted
from ultrabm_jax.storage.torch_records import DTYPES, StorageRecord, TensorRecord, check_view, read_records

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
TORCHSCRIPT = (
    "a TorchScript archive (torch.jit.save), which is not read; in PyTorch, write its tensors with "
    "torch.save(torch.jit.load(FILE).state_dict(), 'net.pth')"
)
MAX_EXPANSION, FREE_EXPANSION = 64, 2**28  # a file may hold 64 times its own bytes, plus 256 MiB


@dataclass
class TorchFile:
    """The pickled object of a file, with `TensorRecord`s in place of tensors, and the bytes of its storages."""

    tree: object  # nested dictionaries, lists, numbers, strings, `TensorRecord` and `Inert`
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
        view = check_view(tensor, tensor.storage, self.name)
        dtype = DTYPES[tensor.storage.kind]
        self._made += math.prod(view.size) * dtype.itemsize
        if self._made > _limit(self.size):
            raise CorruptFile(f"{self.name} is damaged (its tensors repeat its storages {MAX_EXPANSION} times)")
        flat = self._storage(tensor.storage)
        strides = tuple(step * dtype.itemsize for step in view.stride)
        # The copy owns its memory, is writable, and does not keep a larger storage alive.
        return np.lib.stride_tricks.as_strided(flat[view.offset :], view.size, strides).copy()

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
                # Reading a map never allocates more than the file's size, even if a pickle states a larger length.
                data = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
                yield _open_legacy(cast(BinaryIO, data), name, size)
    except UserError:
        raise
    except Exception as error:  # the decoders of zip archives raise many types
        raise CorruptFile(f"{name} is damaged or truncated ({printable(first_line(error))})") from error


@contextlib.contextmanager
def _open_zip(file: BinaryIO, name: str, size: int) -> Iterator[TorchFile]:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        root = next((member.removesuffix("data.pkl") for member in members if member.endswith("data.pkl")), None)
        if root is None and all(member.endswith(".npy") for member in members):
            raise UserError(f"{name}: a NumPy archive (.npz), not weights in PyTorch's or the safetensors format")
        if root is None:
            raise UserError(f"{name}: a ZIP archive: unpack it (a PyTorch file would have a member data.pkl)")
        if f"{root}constants.pkl" in members:  # only torch.jit.save writes it
            raise UserError(f"{name}: {TORCHSCRIPT}")
        if sum(info.file_size for info in members.values()) > _limit(size):
            raise CorruptFile(f"{name} is damaged (it claims to hold more than {MAX_EXPANSION} times its size)")

        def read_bytes(storage: StorageRecord) -> bytes:
            member = f"{root}data/{storage.key}"
            if member not in members:
                raise CorruptFile(f"{name} is damaged or truncated (no storage {printable(storage.key)})")
            return archive.read(member)

        big_endian = root + "byteorder" in members and archive.read(root + "byteorder") == b"big"
        tree, _ = read_records(io.BytesIO(archive.read(root + "data.pkl")), name)
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
    load_restricted(file, {}, name=name)  # system info; storages are little-endian even if it states otherwise
    tree, storages = read_records(file, name)
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


def _limit(size: int) -> int:
    return MAX_EXPANSION * size + FREE_EXPANSION
