"""One run at a time writes in a workdir.

The system's lock on a file ends with its process, however that ends, so none is ever stale; the file says who holds it.
It is advisory and of one machine or of what the network file system makes of it; where there is none, a note says so.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from ultrabm_jax.errors import UserError

NAME = "lock"
UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
def hold_workdir(workdir: Path) -> Iterator[str | None]:
    """Makes `workdir` and holds its lock; gives a note if the file system has no locks.

    Raises UserError if another process holds it, naming its host and number, or if the folder cannot be written.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file, note = _acquire(workdir / NAME)
    except OSError as error:
        raise UserError(f"{workdir} cannot be written ({error.strerror}); use another --workdir") from error
    try:
        yield note
    finally:
        with contextlib.suppress(OSError):
            (workdir / NAME).unlink()
        os.close(file)


def _acquire(path: Path) -> tuple[int, str | None]:
    """(file, note). A file that its holder removed meanwhile is left alone."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            note = _lock(file, path)
            if _same(file, path):
                who = {"host": socket.gethostname(), "process": os.getpid()}
                os.truncate(file, 0)
                os.pwrite(file, json.dumps(who).encode() + b"\n", 0)
                return file, note
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int, path: Path) -> str | None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"another run is writing in {path.parent}: {_holder(file)}; wait, or use another --workdir"
        ) from None
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return f"{path.parent} has no locks ({error.strerror}); take care that no other run writes there"
    return None


def _same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _holder(file: int) -> str:
    try:
        who = json.loads(os.pread(file, 1000, 0))
        return f"process {who['process']} on {who['host']}"
    except (ValueError, KeyError, TypeError):
        return "a process that has not said its number"
