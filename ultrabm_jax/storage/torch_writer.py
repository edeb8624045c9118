"""Write PyTorch checkpoint files without PyTorch: the zip archive that `torch.load` reads, `weights_only=True` too.

The pickle inside refers to names of PyTorch that need not be importable here, so its opcodes are put down one by one.
The same state dict gives the same bytes.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.torch_file import DTYPES

STORAGES = {dtype: kind for kind, dtype in DTYPES.items()}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every entry


def save_torch(path: str | os.PathLike[str], state_dict: Mapping[str, Any]) -> None:
    """Writes {name: array}, or such dictionaries in dictionaries, for `torch.load(path)`; replaces an older file.

    Raises UserError for an array whose type PyTorch does not have.
    """
    path = Path(path)
    arrays: list[np.ndarray] = []
    program = b"\x80\x02" + _emit(dict(state_dict), arrays) + b"."
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            _add(archive, path.stem, "data.pkl", program)
            _add(archive, path.stem, "byteorder", b"little")
            for key, array in enumerate(arrays):
                _add(archive, path.stem, f"data/{key}", array.tobytes())
            _add(archive, path.stem, "version", b"3\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _add(archive: zipfile.ZipFile, stem: str, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(f"{stem}/{name}", EPOCH), data)


def _emit(value: Any, arrays: list[np.ndarray]) -> bytes:
    """The opcodes that push `value`; arrays are numbered in passing."""
    if isinstance(value, Mapping):
        items = b"".join(_constant(str(name)) + _emit(inner, arrays) for name, inner in value.items())
        return _ordered_dict() + b"(" + items + b"u"
    return _tensor(np.asarray(value), arrays)


def _tensor(array: np.ndarray, arrays: list[np.ndarray]) -> bytes:
    dtype = array.dtype.newbyteorder("<")
    if dtype not in STORAGES:
        raise UserError(f"PyTorch has no tensors of type {array.dtype}")
    array = array.astype(dtype, order="C")
    key, storage = str(len(arrays)), _global("torch", STORAGES[dtype])
    arrays.append(array)
    identity = b"(" + _constant("storage") + storage + _constant(key) + _constant("cpu") + _constant(array.size) + b"tQ"
    strides = tuple(step // array.itemsize for step in array.strides)
    view = _constant(0) + _tuple(array.shape) + _tuple(strides) + _constant(False) + _ordered_dict()
    return _global("torch._utils", "_rebuild_tensor_v2") + b"(" + identity + view + b"tR"


def _ordered_dict() -> bytes:
    return _global("collections", "OrderedDict") + b")R"


def _global(module: str, name: str) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode()


def _tuple(numbers: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_constant, numbers)) + b"t"


def _constant(value: str | int | bool) -> bytes:
    return pickle.dumps(value, 2)[2:-1]  # without the protocol's header and STOP
