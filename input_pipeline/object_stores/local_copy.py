"""Local copies of folders in object stores.

    FOLDER/gs/BUCKET/PATH            the copy of gs://BUCKET/PATH; FOLDER is $ULTRABM_DATA_CACHE, else `data` in the
                                     user's cache folder
    FOLDER/gs/.BUCKET.journal        which version of which object each file is (journal.py)
    FOLDER/gs/.BUCKET.lock           held by the process that compares or copies
    FOLDER/gs/.BUCKET.parts/         files that are not complete

Each start lists the bucket and fetches what is missing or has another content there; copied files that left the bucket
are removed. A file is written under another name, compared with the object's size and hash, and renamed. A file whose
size and modification time are those of the journal is not read again; any other is compared by its hash. Objects of S3
have no hash of their content: there, such a file is fetched again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from input_pipeline.object_stores.journal import Journal
from input_pipeline.object_stores.objects import StoredObject, StoreFolder
from input_pipeline.object_stores.transfer import Transfer
from ultrabm_jax.buckets import url_scheme
from ultrabm_jax.cli import user_cache_folder
from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.logging import logger

VARIABLE = "ULTRABM_DATA_CACHE"
WORKERS = 16  # objects, or parts of fewer objects, that are fetched at the same time
ATTEMPTS = 3  # to fetch an object
PAUSE = 1.0  # seconds before the second attempt; then twice as long
UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


def data_cache_folder() -> Path:
    """The folder of all copies: $ULTRABM_DATA_CACHE, else `data` in the user's cache folder."""
    chosen = os.environ.get(VARIABLE, "")
    return Path(chosen).expanduser() if chosen else user_cache_folder() / "data"


def describe_copies() -> str:
    """What all copies take: "the copies of 2 buckets in FOLDER take 1.50 GiB"."""
    folder, size = data_cache_folder(), 0
    buckets = [path for path in folder.glob("*/[!.]*") if path.is_dir()]
    for bucket in buckets:
        for parent, _, names in os.walk(bucket):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # another process may be removing old copies
                    size += os.stat(os.path.join(parent, name)).st_size
    count = f"{len(buckets)} bucket{'s' if len(buckets) != 1 else ''}"
    return f"the copies of {count} in {folder} take {size / 2**30:.2f} GiB"


def local_folder(path: str) -> str:
    """The folder `path`; of one in an object store its copy, which is made or updated first.

    Raises UserError if the store cannot be read or the data do not fit on the disk, MissingData without objects.
    """
    if url_scheme(path) is None:
        return path
    with open_copy(path) as copy:
        copy.fetch()
        return str(copy.path)


@contextlib.contextmanager
def open_copy(url: str) -> Iterator[LocalCopy]:
    """The copy of the folder that `url` names, as far as it has been fetched; other processes wait until the end."""
    folder = StoreFolder(url)
    place = data_cache_folder() / folder.scheme
    try:
        place.mkdir(parents=True, exist_ok=True)
        with _hold(place / f".{folder.bucket}.lock", url):
            yield LocalCopy(folder, place)
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise UserError(f"{url} cannot be copied to {place} ({reason}); ${VARIABLE} names another folder") from error


class LocalCopy:
    """The files of one folder of a bucket in `path`. Making it removes those that left the bucket."""

    def __init__(self, folder: StoreFolder, place: Path) -> None:
        self.folder = folder
        self.path = place / folder.bucket / folder.prefix
        self._place, self._bucket = place, place / folder.bucket
        self._journal = Journal(place / f".{folder.bucket}.journal")
        self._parts = place / f".{folder.bucket}.parts"
        shutil.rmtree(self._parts, ignore_errors=True)  # of a process that was killed
        self._remove_old()
        if folder.skipped:
            logger.warning("%s: left out objects that are no files: %s", folder.url, ", ".join(folder.skipped[:3]))

    def fetch(self, wanted: Callable[[str], bool] = lambda name: True) -> None:
        """Fetches the objects with `wanted` names of which there is no intact copy. Raises UserError if one fails."""
        missing = [item for name, item in self.folder.objects.items() if wanted(name) and not self._is_intact(item)]
        if not missing:
            return
        size = sum(item.size for item in missing)
        free = shutil.disk_usage(self._place).free
        what = f"{len(missing)} file{'s' if len(missing) != 1 else ''}, {size / 2**30:.2f} GiB"
        if size > free:
            raise UserError(
                f"{self.folder.url}: the copy ({what}) does not fit on the disk of {self._place}, where "
                f"{free / 2**30:.2f} GiB are free; set ${VARIABLE} to a folder on another disk, or delete copies that "
                f"no run reads ({describe_copies()})"
            )
        logger.info("copying %s to %s: %s", self.folder.url, self.path, what)
        started = time.monotonic()
        self._fetch_all(missing, Transfer(self.folder.url, size))
        logger.info("copied %s in %.0f s; %s", self.folder.url, time.monotonic() - started, describe_copies())

    def _fetch_all(self, missing: Sequence[StoredObject], transfer: Transfer) -> None:
        self._parts.mkdir()
        writing = threading.Lock()

        def fetch(number: int, item: StoredObject) -> None:
            part = self._parts / str(number)
            self._fetch_one(item, part, transfer, streams=max(1, WORKERS // len(missing)))
            with writing:
                self._keep(item, part)

        with transfer, ThreadPoolExecutor(WORKERS) as pool:
            jobs = [pool.submit(fetch, number, item) for number, item in enumerate(missing)]
            try:
                for job in as_completed(jobs):
                    job.result()
            except BaseException:  # also KeyboardInterrupt
                transfer.cancel()
                pool.shutdown(cancel_futures=True)
                raise
        self._parts.rmdir()

    def _fetch_one(self, item: StoredObject, part: Path, transfer: Transfer, *, streams: int) -> None:
        where = f"{self.folder.url}/{item.name}"
        for attempt in range(ATTEMPTS):
            try:
                with transfer.counted() as received:
                    self.folder.fetch(item, part, received, streams=streams)
            except (FileNotFoundError, PermissionError) as error:
                raise UserError(f"{where} cannot be read ({first_line(error)})") from error
            except Exception as error:  # the stores' libraries raise unrelated types
                if transfer.cancelled or attempt == ATTEMPTS - 1:
                    raise UserError(f"{where} cannot be copied ({first_line(error)}); start again") from error
                time.sleep(PAUSE * 2**attempt)
                continue
            if item.describes(part):
                return
        raise UserError(f"{where} changed while it was copied; start again")

    def _keep(self, item: StoredObject, part: Path) -> None:
        target = self.path / item.name
        target.parent.mkdir(parents=True, exist_ok=True)
        self._journal.add(self._key(item.name), item.version, part)
        os.replace(part, target)

    def _is_intact(self, item: StoredObject) -> bool:
        target, key = self.path / item.name, self._key(item.name)
        if not target.is_file():
            return False
        version = self._journal.version(key, target)
        if version is not None:
            return version == item.version
        if item.digest is None or not item.describes(target):
            return False
        self._journal.add(key, item.version, target)
        return True

    def _remove_old(self) -> None:
        """Removes the copies of objects that left the folder, and folders that are then empty."""
        below, listed = self._key(""), self.folder.objects
        old = [key for key in self._journal.entries if key.startswith(below) and key[len(below) :] not in listed]
        if not old:
            return
        for key in old:
            path = self._bucket / key
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # of the first folder that is not empty
                for parent in path.parents:
                    if parent == self._bucket:
                        break
                    parent.rmdir()
        self._journal.remove(old)
        count = f"{len(old)} file{'s' if len(old) != 1 else ''}"
        logger.info("%s: removed %s that left the bucket from %s", self.folder.url, count, self.path)

    def _key(self, name: str) -> str:
        """The name of an object in the bucket."""
        return f"{self.folder.prefix}/{name}" if self.folder.prefix else name


@contextlib.contextmanager
def _hold(path: Path, url: str) -> Iterator[None]:
    """Holds the lock of a bucket's copies; waits for another process that holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("%s: waiting for another process that copies from this bucket", url)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            logger.warning("%s does not support locks: start one process at a time, or set $%s", path.parent, VARIABLE)
        yield
    finally:
        os.close(file)
