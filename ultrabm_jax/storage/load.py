"""`load_torch`: reads the state dict of a network from a PyTorch or safetensors file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.file_types import HEAD, guess_common_type
from ultrabm_jax.image.bad_image import BadImage, printable, reason_of, require_file
from ultrabm_jax.logging import logger
from ultrabm_jax.storage.checkpoint import find_state_dict, strip_prefixes
from ultrabm_jax.storage.safetensors_file import is_index, is_safetensors, read_safetensors, read_shards
from ultrabm_jax.storage.torch_file import open_torch

T = TypeVar("T")


def load_torch(path: str | os.PathLike[str], *, key: str | None = None) -> dict[str, np.ndarray]:
    """Reads the network's state dict from a PyTorch checkpoint or a safetensors file. Executes nothing from the file.

    In a training checkpoint, the tensors are searched for below the keys `checkpoint.WRAPPERS`, then at the top level;
    optimiser states, options and other objects are dropped. Prefixes that all names share (`checkpoint.PREFIXES`) are
    removed. If the file holds several state dicts, the log says which one was read. Each array is writable.

    Args:
      path: the file; of safetensors in several files, the index (NAME.safetensors.index.json).
      key: reads the tensors below this key of the file, such as "params" where `params_ema` would be preferred.

    Raises:
      UserError: if the file is missing, has another format or holds no named tensors; the message names the type
        of the file or lists its keys.
      UnsafePickle: if it refers to data outside itself.
      CorruptFile: if it is truncated or inconsistent.
    """
    path = Path(path)
    head, size = _head(path)
    if (index := is_index(path, head)) or is_safetensors(head, size):
        if key is not None:
            raise UserError(f"{printable(path)}: a safetensors file has no keys to choose from")
        if not (arrays := read_shards(path) if index else read_safetensors(path)):
            raise UserError(f"{printable(path)}: the safetensors file holds no tensors")
        return _stripped(arrays, path)
    other = guess_common_type(head)
    if other and not head.startswith(b"PK"):
        raise UserError(f"{printable(path)}: {other}")
    with open_torch(path) as file:
        found = find_state_dict(file.tree, file.name, key=key)
        if found.others and key is None:
            also = ", ".join(printable(other) for other in found.others)
            logger.info("%s: reading %s; the file also holds %s", file.name, printable(found.key), also)
        tensors = _stripped(found.tensors, path)
        for name, tensor in tensors.items():
            if tensor.storage is None:
                raise UserError(
                    f"{file.name}: tensor {printable(name)} is not read: its type is {printable(tensor.kind)[:80]}"
                )
        return {name: file.array(tensor) for name, tensor in tensors.items()}


def _stripped(tensors: Mapping[str, T], path: Path) -> dict[str, T]:
    stripped, left_out = strip_prefixes(tensors)
    if left_out:
        logger.info("%s: ignored, not part of the network: %s", printable(path), ", ".join(map(printable, left_out)))
    return stripped


def _head(path: Path) -> tuple[bytes, int]:
    """The first bytes and the size of a file."""
    if not path.exists() and not path.is_symlink():
        raise UserError(f"no such weights file: {printable(path)}")
    try:
        require_file(path)
        with path.open("rb") as file:
            return file.read(HEAD), path.stat().st_size
    except OSError as error:
        raise BadImage(path, reason_of(path, error)) from error
