"""Writes PyTorch checkpoint files without PyTorch: the zip archive that `torch.load(weights_only=True)` reads.

The pickle inside refers to names of PyTorch, which need not be importable here, so its opcodes are written one by one.
The output is deterministic: equal state dicts give equal bytes.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.torch_records import DTYPES

Nested = Mapping[str, "ArrayLike | Nested"]
STORAGES = {dtype: kind for kind, dtype in DTYPES.items()}
EPOCH = (1980, 1, 1, 0, 0, 0)  # time stamp of every archive member


def save_torch(path: str | os.PathLike[str], state_dict: Nested) -> None:
    """Writes {name: array}, or nested dictionaries of them, for `torch.load(path)`. Replaces an existing file.

    Raises:
      UserError: for an array whose type PyTorch does not have.
    """
    path = Path(path)
    arrays: list[np.ndarray] = []
    program = b"\x80\x02" + _mapping(state_dict, arrays) + b"."
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


def _mapping(nested: Nested, arrays: list[np.ndarray]) -> bytes:
    """The opcodes that push an OrderedDict; appends its arrays to `arrays`, whose indices are the storage keys."""
    items = b""
    for name, value in nested.items():
        pushed = _mapping(value, arrays) if isinstance(value, Mapping) else _tensor(np.asarray(value), arrays)
        items += _constant(str(name)) + pushed
    return _ordered_dict() + b"(" + items + b"u"


def _tensor(array: np.ndarray, arrays: list[np.ndarray]) -> bytes:
    dtype = array.dtype.newbyteorder("<")
    if dtype not in STORAGES:
        raise UserError(f"PyTorch has no tensors of type {array.dtype}")
    array = array.astype(dtype, order="C")
    key, storage = str(len(arrays)), _global("torch", STORAGES[dtype])
    arrays.append(array)
    pid = b"(" + _constant("storage") + storage + _constant(key) + _constant("cpu") + _constant(array.size) + b"tQ"
    strides = tuple(step // array.itemsize for step in array.strides)
    view = _constant(0) + _tuple(array.shape) + _tuple(strides) + _constant(False) + _ordered_dict()
    return _global("torch._utils", "_rebuild_tensor_v2") + b"(" + pid + view + b"tR"


def _ordered_dict() -> bytes:
    return _global("collections", "OrderedDict") + b")R"


def _global(module: str, name: str) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode()


def _tuple(numbers: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_constant, numbers)) + b"t"


def _constant(value: str | int | bool) -> bytes:
    return pickle.dumps(value, 2)[2:-1]  # without the protocol header and STOP
