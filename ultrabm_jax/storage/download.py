"""Downloads one file and verifies it. A failed download leaves no file.

Only http and https are allowed, also after redirects; the proxies of the environment are used. The data is counted and
hashed, never opened or executed. It is written to a temporary file beside the target and renamed when complete, so
another process sees the whole file or none, and concurrent downloads do not interfere. $ULTRABM_OFFLINE=1 forbids
downloads.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 18  # bytes read at a time, at most
TIMEOUT = 30.0  # seconds without data
MIN_BYTES_PER_SECOND = 4096  # average, checked after TIMEOUT
MAX_BYTES = 2 << 30  # of a file whose size is unknown


class DownloadFailed(Exception):
    """The download failed; the message is one line."""


def offline() -> bool:
    """Whether $ULTRABM_OFFLINE forbids downloads."""
    return os.environ.get("ULTRABM_OFFLINE", "") not in ("", "0")


def download(
    url: str,
    target: Path,
    *,
    sha256: str,
    size: int | None = None,
    timeout: float = TIMEOUT,
    min_speed: float = MIN_BYTES_PER_SECOND,
) -> None:
    """Downloads `url` to `target`.

    Args:
      url: http or https address.
      target: the file to write; its folder is created.
      sha256: expected hash in hexadecimal digits, or its beginning.
      size: expected size in bytes, if known.
      timeout: seconds without data after which the download fails.
      min_speed: average bytes per second below which the download fails, once `timeout` seconds have passed.

    Raises:
      DownloadFailed: if the file could not be downloaded, is another file, or downloads are forbidden.
    """
    if offline():
        raise DownloadFailed("ULTRABM_OFFLINE is set")
    if not url.startswith(("http://", "https://")):
        raise DownloadFailed(f"{url} is not an http or https address")
    try:
        with _opener().open(url, timeout=timeout) as response:
            target.parent.mkdir(parents=True, exist_ok=True)
            _save(response, target, sha256=sha256, size=size, timeout=timeout, min_speed=min_speed)
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadFailed(f"{url} returned {error.code} {_one_line(error.reason)}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DownloadFailed(f"{url}: {_one_line(reason)}") from error


def _opener() -> urllib.request.OpenerDirector:
    """An opener for http and https only; urllib's default also opens file:, ftp: and data:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    opener.addheaders = [("User-Agent", "ultrabm_jax"), ("Accept-Encoding", "identity")]
    return opener


def _save(
    response: http.client.HTTPResponse,
    target: Path,
    *,
    sha256: str,
    size: int | None,
    timeout: float,
    min_speed: float,
) -> None:
    announced = response.headers.get("Content-Length")
    expected = size if size is not None else int(announced) if announced else None
    if announced and int(announced) != expected:
        raise DownloadFailed(f"{response.url} has {announced} bytes instead of {expected}: another file")
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            received, digest = _copy(response, file, expected, name=target.name, timeout=timeout, min_speed=min_speed)
        if expected is not None and received < expected:
            raise DownloadFailed(f"{response.url} ended after {received} of {expected} bytes")
        if not digest.startswith(sha256):
            raise DownloadFailed(f"{response.url} is another file: its sha256 starts {digest[:8]}, not {sha256[:8]}")
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _copy(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    expected: int | None,
    *,
    name: str,
    timeout: float,
    min_speed: float,
) -> tuple[int, str]:
    """Copies the response to `file`, stops at the first excess byte or below `min_speed`; returns (bytes, sha256)."""
    from tqdm import tqdm

    digest, received, started = hashlib.sha256(), 0, time.monotonic()
    limit = MAX_BYTES if expected is None else expected
    quiet = not sys.stderr.isatty()
    with tqdm(total=expected, desc=name, unit="B", unit_scale=True, dynamic_ncols=True, disable=quiet) as bar:
        while chunk := response.read1(CHUNK):  # `read` would wait until a whole chunk has arrived
            received += len(chunk)
            if received > limit:
                raise DownloadFailed(f"{response.url} is longer than {limit} bytes: another file")
            seconds = time.monotonic() - started
            if seconds > timeout and received < min_speed * seconds:
                raise DownloadFailed(f"{response.url} is too slow: {received} bytes in {seconds:.0f} s")
            digest.update(chunk)
            file.write(chunk)
            bar.update(len(chunk))
    return received, digest.hexdigest()


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split()) or type(reason).__name__
