"""Folders on disk or in Google Cloud Storage (gs://BUCKET/PATH), as paths with the same methods.

A path on disk is a `pathlib.Path`, one in a bucket an `etils.epath.Path` over gcsfs. An object in a bucket is written
as a whole, so readers see its previous content or the new one. There is no appending and no lock; a folder exists only
as the common beginning of names, and is moved by copying.

Other stores are refused: Orbax 0.12 takes s3://bucket/run for a relative path and writes no checkpoint there.
"""

from __future__ import annotations

import contextlib
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.extras import missing_extra

if TYPE_CHECKING:
    from etils import epath

AnyPath: TypeAlias = "Path | epath.Path"
SCHEME = "gs"
COMMITTED = "commit_success.txt"  # Orbax writes it last into a folder in a bucket; without it the rest is incomplete


def url_scheme(path: str | os.PathLike[str]) -> str | None:
    """The scheme of a URL, such as "gs" of gs://bucket/run; None for a path on disk."""
    match = re.match(r"([a-z][a-z0-9+.-]*)://", os.fspath(path), re.IGNORECASE)
    return match and match[1].lower()


def in_bucket(path: AnyPath) -> bool:
    """Whether a path that `open_path` returned, or one derived from it, lies in a bucket."""
    return not isinstance(path, Path)


def open_path(path: str | os.PathLike[str]) -> AnyPath:
    """`path` as a path on disk, which need not exist, or as one in a bucket that can be reached.

    Raises UserError for a URL of another store, without gcsfs, and if the bucket cannot be reached.
    """
    scheme = url_scheme(path)
    if scheme is None:
        return Path(path)
    if scheme != SCHEME:
        raise UserError(
            f"{os.fspath(path)}: of the object stores only Google Cloud Storage (gs://BUCKET/RUN) is supported; "
            "use a folder, and copy it to the store after the run"
        )
    if find_spec("gcsfs") is None:
        raise UserError(missing_extra("gcsfs", f"{os.fspath(path)}: a folder in Google Cloud Storage"))
    from etils import epath
    from fsspec.config import conf

    os.environ.setdefault("EPATH_USE_TF", "0")  # otherwise epath imports TensorFlow where it is installed
    with contextlib.suppress(AttributeError):  # it checks only once, also for paths on disk
        epath.gpath._is_tf_installed.cache_clear()
    conf.setdefault(SCHEME, {})["use_listings_cache"] = False  # TensorStore and other processes write there as well
    folder = epath.Path(os.fspath(path))
    try:
        folder.exists()
    except Exception as error:  # gcsfs, aiohttp and Google's libraries raise unrelated types
        raise UserError(f"{folder} cannot be reached ({first_line(error)})") from error
    return folder


def absolute(path: AnyPath) -> AnyPath:
    """`path` from the root of the disk; a path in a bucket as it is."""
    return path.absolute() if isinstance(path, Path) else path


def replace_text(path: AnyPath, text: str) -> None:
    """Writes a text file, or replaces one, atomically. Raises OSError if that fails."""
    if isinstance(path, Path):
        temporary = path.with_name(f"{path.name}.tmp")
        temporary.write_text(text)
        os.replace(temporary, path)
        return
    try:
        path.write_text(text)
    except OSError:
        raise
    except Exception as error:  # as in `open_path`
        raise OSError(None, first_line(error)) from error


def move_folder(source: AnyPath, target: AnyPath) -> None:
    """Moves a folder to `target`, which must not exist.

    On disk it is renamed. In a bucket it is copied, then removed, COMMITTED first.
    """
    if isinstance(source, Path):
        source.rename(target)
        return
    from fsspec.core import url_to_fs

    store, name = url_to_fs(os.fspath(source))
    store.copy(name, url_to_fs(os.fspath(target))[1], recursive=True)
    (source / COMMITTED).unlink(missing_ok=True)
    store.rm(name, recursive=True)
