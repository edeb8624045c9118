"""The archive of `python -m input_pipeline.pack`, unpacked; imports nothing of JAX."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ultrabm_jax.errors import UserError


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks `archive` into `folder`, unless this has been done; returns the folder. Raises UserError if damaged."""
    done = folder / f".{archive.name}"
    if done.exists():
        return folder
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)  # which keeps every entry below `folder`
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{archive} cannot be unpacked ({error})") from error
    done.touch()
    return folder
