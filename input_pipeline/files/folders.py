"""Listing a folder so that nothing is passed over in silence. Order is by name, the same on every file system."""

from __future__ import annotations

import errno
import os
from pathlib import Path

# What file servers, archives and file systems leave behind; such entries, and hidden ones, are not data.
LEFT_BEHIND = {"@eadir", "#recycle", "__macosx", "lost+found"}


def contents(folder: Path) -> list[Path]:
    """The entries of a folder that may be data; OSError if it is not there or may not be listed."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    return [folder / name for name in names if name.lower() not in LEFT_BEHIND]


def is_folder(path: Path) -> bool:
    """As `path.is_dir()`, but False where that raises PermissionError."""
    return os.path.isdir(path)


def identity(path: Path) -> tuple[int, int]:
    """The same for all names of one file or folder."""
    status = path.stat()
    return status.st_dev, status.st_ino


def no_folder(error: OSError) -> str:
    """Why a folder cannot be listed."""
    known = {
        errno.ENOENT: "there is no such folder",
        errno.ENOTDIR: "a file, not a folder",
        errno.ELOOP: "a link that leads in a circle",
        errno.EACCES: "no permission to list it",
    }
    return known.get(error.errno or 0) or str(error)


def is_utf8(name: str) -> bool:
    """Whether a file's name is text; other bytes come from the system as surrogates, which no report can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
