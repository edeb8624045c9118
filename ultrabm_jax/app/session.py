"""The kept result of a session: one at a time, in a folder of its own below the session's folder."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from ultrabm_jax.app.models import Models
from ultrabm_jax.app.restoring import Result, Settings, restore_upload
from ultrabm_jax.errors import UserError


def session_folder(folder: Path, session_hash: str | None) -> Path:
    """The folder of a session below `folder`. `session_hash` is chosen by the client, who may send any path."""
    return folder / hashlib.sha256(str(session_hash).encode()).hexdigest()


def result_of(models: Models, upload: Path, settings: Settings, session: Path, kept: Result | None) -> Result:
    """`kept` if it is of this upload and these settings; else a new result, beside which no other is kept.

    kept: the session's result so far, which is deleted only after the new one is complete. Raises UserError as
    `restore_upload` does; then nothing is kept.
    """
    if kept is not None and kept.is_of(upload, settings) and not is_gone(kept):
        return kept
    session.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=session))
    try:
        result = restore_upload(models, upload, settings, folder)
    except BaseException:
        keep_only(session, None)
        raise
    keep_only(session, result.folder)
    return result


def keep_only(session: Path, folder: Path | None) -> None:
    """Deletes the other results of a session."""
    for path in session.glob("*"):  # nothing if the session has ended
        if path != folder:
            shutil.rmtree(path, ignore_errors=True)


def is_gone(result: Result | None) -> bool:
    """Whether a newer result of the session has replaced this one."""
    return result is not None and not result.folder.is_dir()


def written(result: Result, write: Callable[[], Path]) -> Path | None:
    """The file that `write` makes from `result`; None if a newer result has replaced it, also meanwhile."""
    if is_gone(result):
        return None
    try:
        return write()
    except (OSError, UserError):
        if is_gone(result):
            return None
        raise
