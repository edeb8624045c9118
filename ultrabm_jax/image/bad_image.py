"""`BadImage`, the error of every reader of image and camera raw files, and the reasons why a path cannot be read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ultrabm_jax.errors import UserError


class BadImage(UserError):
    """An image file cannot be read. The message is one line that names the file and the reason."""

    def __init__(self, path: Path, reason: str):
        self.path = path
        super().__init__(f"{printable(path)}: {printable(reason)}")


class Refused(ValueError):
    """The reason why a file is not read; `open_image` adds the file's name (`BadImage`)."""


def printable(text: object) -> str:
    """One line that any terminal can show: control characters and bytes that are not UTF-8 are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(text))


def require_file(path: Path) -> None:
    """Raises `BadImage` unless `path` is a file or a link to one. Opening a pipe would block."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise BadImage(path, reason_of(path, error)) from error
    if not stat.S_ISREG(mode):
        raise BadImage(path, "a folder, not a file" if stat.S_ISDIR(mode) else "a pipe or device, not a file")


def reason_of(path: Path, error: Exception) -> str:
    """Why reading `path` raised `error`, in plain words."""
    if isinstance(error, Refused):
        return str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ELOOP:
        return "a circular link"
    if number == errno.ENOENT:
        return (
            f"a link to {printable(os.readlink(path))}, which does not exist" if path.is_symlink() else "no such file"
        )
    if number in (errno.EACCES, errno.EPERM):
        return "no permission to read it"
    if number is not None:
        return f"cannot be read ({os.strerror(number)})"
    return f"cannot be decoded ({' '.join(str(error).split()) or type(error).__name__})"
