"""Reads and writes safetensors files with the `safetensors` package: a JSON header of names, types and offsets.

A network in several files (shards) has an index, NAME.safetensors.index.json, that names the file of each tensor.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.typing import ArrayLike
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.storage.pickle_objects import CorruptFile

DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype("f8"),
    "F32": np.dtype("f4"),
    "F16": np.dtype("f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("i8"),
    "I32": np.dtype("i4"),
    "I16": np.dtype("i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("u8"),
    "U32": np.dtype("u4"),
    "U16": np.dtype("u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
SUFFIX, INDEX_SUFFIX = ".safetensors", ".safetensors.index.json"


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `head` is a safetensors file: a length, then a JSON header."""
    return len(head) > 8 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= size - 8


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """{name: array} in alphabetical order; the arrays are writable.

    Raises:
      CorruptFile: if the file is truncated or inconsistent.
      UserError: for a tensor of a type that NumPy does not have.
    """
    name = printable(path)
    try:
        # The package has no types for this function.
        entries = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (SafetensorError, MemoryError) as error:
        raise CorruptFile(f"{name} is damaged or truncated ({printable(first_line(error))})") from error
    arrays = {}
    for key, entry in sorted(entries, key=lambda item: item[0]):
        if entry["dtype"] not in DTYPES:
            raise UserError(f"{name}: the type {entry['dtype']} of tensor {printable(key)} is not read")
        arrays[key] = np.frombuffer(entry["data"], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays


def is_index(path: Path, head: bytes) -> bool:
    """Whether a file is the index of a network in several safetensors files."""
    return path.name.endswith(INDEX_SUFFIX) and head.lstrip().startswith(b"{")


def read_shards(path: Path) -> dict[str, np.ndarray]:
    """The tensors of all files that an index names, which lie beside it.

    Raises:
      CorruptFile: if the index is damaged, or a file lacks tensors that it should hold.
      UserError: if a file is missing.
    """
    name = printable(path)
    try:
        files = json.loads(path.read_bytes())["weight_map"]
        shards = sorted({str(file) for file in files.values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptFile(f"{name} is damaged or not an index of safetensors files (no weight_map)") from error
    arrays: dict[str, np.ndarray] = {}
    for shard in shards:
        part = path.parent / shard
        if Path(shard).name != shard or not shard.endswith(SUFFIX):
            raise CorruptFile(f"{name} names {printable(shard)}, which is not a safetensors file beside it")
        if not part.is_file():
            raise UserError(
                f"{name} names {printable(shard)}, which is not beside it; it needs every file that it names"
            )
        arrays |= read_safetensors(part)
    missing = sorted(files.keys() - arrays.keys())
    if missing:
        first = printable(missing[0])
        raise CorruptFile(
            f"{name} is damaged: {len(missing)} tensors are not in the files that it names, first {first}"
        )
    return dict(sorted((key, arrays[key]) for key in files))


def save_safetensors(path: str | os.PathLike[str], state_dict: Mapping[str, ArrayLike]) -> None:
    """Writes {name: array} as a safetensors file, which `safetensors.torch.load_file` reads. Replaces a file there.

    Raises:
      UserError: for an array whose type safetensors does not have, and for nested dictionaries.
    """
    path = Path(path)
    arrays = {str(name): _plain(str(name), value) for name, value in state_dict.items()}
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(save(arrays, metadata={"format": "pt"}))  # "pt": the value that PyTorch loaders require
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _plain(name: str, value: ArrayLike) -> np.ndarray:
    """Little-endian and in C order: the package would write the memory of other arrays unchanged."""
    array = np.asarray(value)
    dtype = array.dtype.newbyteorder("<")
    if dtype not in DTYPES.values():
        raise UserError(f"safetensors has no tensors of type {array.dtype} ({name}); it stores flat {{name: array}}")
    return array.astype(dtype, order="C")
