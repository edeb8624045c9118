"""Lists and reads the objects below a URL, of Google Cloud Storage (gs://) or S3 (s3://), through fsspec."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from input_pipeline.files.listing import MissingData
from ultrabm_jax.buckets import url_scheme
from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.extras import missing_extra

STORES: Mapping[str, str] = {"gs": "gcsfs", "s3": "s3fs"}  # scheme of the URL: module that reads the store
STREAMS: Mapping[str, str] = {"gs": "concurrency", "s3": "max_concurrency"}  # and its option of `get_file`
CHUNK = 1 << 20  # bytes hashed at a time


@dataclass(frozen=True)
class StoredObject:
    """One object.

    name: below the folder, parts separated by "/". size: in bytes. version: another text for other content.
    digest: ("md5" or "crc32c", base64 of the value), or None where the store gives no hash of the content (S3).
    """

    name: str
    size: int
    version: str
    digest: tuple[str, str] | None

    def describes(self, path: Path) -> bool:
        """Whether a file on disk has the object's content, as far as the store says what that is."""
        if path.stat().st_size != self.size:
            return False
        return self.digest is None or file_digest(path, self.digest[0]) == self.digest[1]


class StoreFolder:
    """The folder that a URL names: `objects` below it, by name, as listed once when this is made.

    Raises UserError for another kind of URL, without the package for the store, and if the store cannot be reached or
    refuses to list; MissingData if there is no object.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        scheme = url_scheme(url) or ""
        if scheme not in STORES:
            known = " and ".join(f"{name}://" for name in STORES)
            raise UserError(f"{url}: data are read from a folder on disk, or from {known}; copy them to a disk")
        if find_spec(STORES[scheme]) is None:
            raise UserError(missing_extra(STORES[scheme], f"{url}: data in an object store"))
        import fsspec

        place = self.url.partition("://")[2]
        self.scheme, (self.bucket, _, self.prefix) = scheme, place.partition("/")
        if not self.bucket or any(part in ("", ".", "..") for part in place.split("/")):
            raise UserError(f"{url} is not of the form {scheme}://BUCKET/FOLDER")
        self._root = f"{place}/"
        self.skipped: list[str] = []  # objects whose names are no file names
        try:
            self._store = fsspec.filesystem(scheme, use_listings_cache=False)
            found = self._store.find(place, detail=True)
        except FileNotFoundError as error:
            raise MissingData(f"{url}: there is no bucket {self.bucket!r}, or this account cannot see it") from error
        except Exception as error:  # the stores' libraries raise unrelated types
            raise UserError(f"{url} cannot be listed ({first_line(error)})") from error
        self.objects = self._named(found)
        if not self.objects:
            what = "is an object, not a folder" if place in found else "holds no objects: check the path"
            raise MissingData(f"{self.url} {what}")

    def fetch(self, item: StoredObject, target: Path, received: Callable[[int], None], *, streams: int = 1) -> None:
        """Writes an object to `target`; calls `received` with the number of bytes of each part as it arrives.

        streams: parts of a large object that are read at the same time; each takes up to 50 MB of memory.
        """
        from fsspec.callbacks import Callback

        class Count(Callback):
            def relative_update(self, inc: int = 1) -> None:
                received(inc)

        self._store.get_file(self._root + item.name, str(target), callback=Count(), **{STREAMS[self.scheme]: streams})

    def _named(self, found: Mapping[str, Mapping[str, Any]]) -> dict[str, StoredObject]:
        """The objects below the folder; those with names that end in "/" are placeholders of empty folders."""
        objects = {}
        for path, info in found.items():
            name = path.removeprefix(self._root)
            if name == path or name.endswith("/"):
                continue
            if any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
                self.skipped.append(name)
                continue
            objects[name] = _describe(name, info)
        return objects


def _describe(name: str, info: Mapping[str, Any]) -> StoredObject:
    hashes = {"md5": info.get("md5Hash"), "crc32c": info.get("crc32c")}  # composite objects of GCS have no MD5
    digest = next(((kind, str(value)) for kind, value in hashes.items() if value), None)
    version = " ".join(digest) if digest else str(info.get("ETag") or info.get("etag") or info.get("generation"))
    return StoredObject(name, int(info["size"]), version, digest)


def file_digest(path: Path, kind: str) -> str:
    """The MD5 or CRC32C of a file in base64, as Google Cloud Storage states it."""
    if kind == "md5":
        with path.open("rb") as file:
            return base64.b64encode(hashlib.file_digest(file, _md5).digest()).decode()
    import google_crc32c  # gcsfs needs it

    checksum = google_crc32c.Checksum()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            checksum.update(chunk)
    return base64.b64encode(checksum.digest()).decode()


def _md5() -> Any:  # hashlib's type has no public name
    return hashlib.md5(usedforsecurity=False)
