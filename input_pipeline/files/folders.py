"""Listing folders in one fixed order, by name, whatever the file system."""

from __future__ import annotations

import errno
import os
from pathlib import Path

# Folders that file servers, archivers and file systems create; like hidden entries, they hold no data.
SYSTEM_FOLDERS = {"@eadir", "#recycle", "__macosx", "lost+found"}


def list_folder(folder: Path) -> list[Path]:
    """Lists the entries of a folder that may be data; raises OSError if the folder cannot be listed."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    return [folder / name for name in names if name.lower() not in SYSTEM_FOLDERS]


def is_folder(path: Path) -> bool:
    """Like `path.is_dir()`, but returns False where that raises PermissionError."""
    return os.path.isdir(path)


def file_id(path: Path) -> tuple[int, int]:
    """Identifies a file or folder independently of the path by which it was reached (device, inode)."""
    status = path.stat()
    return status.st_dev, status.st_ino


def describe_os_error(error: OSError) -> str:
    """Explains why a folder cannot be listed."""
    known = {
        errno.ENOENT: "there is no such folder",
        errno.ENOTDIR: "a file, not a folder",
        errno.ELOOP: "a link that leads in a circle",
        errno.EACCES: "no permission to list it",
    }
    return known.get(error.errno or 0) or str(error)


def is_utf8(name: str) -> bool:
    """Whether a file name is valid UTF-8; Python represents other bytes as surrogates, which no report can print."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
