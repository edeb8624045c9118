"""One file from the web: whole and checked, or not there at all.

Only http and https, through redirects too, with the proxies of the environment. What arrives is counted and hashed, and
never opened or executed. It lies beside its place under a temporary name until it is complete, so a second process sees
all of it or nothing, and two at once do not disturb each other. $ULTRABM_OFFLINE=1 forbids all of this.
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
from typing import Any, BinaryIO

CHUNK = 1 << 18  # bytes read at once, at most
TIMEOUT = 30.0  # seconds without a byte
SLOWEST = 4096  # bytes per second, on average, once TIMEOUT is over
LARGEST = 2 << 30  # bytes of a file whose size is not known


class DownloadFailed(Exception):
    """Why nothing was downloaded, in one line."""


def offline() -> bool:
    """Whether $ULTRABM_OFFLINE forbids downloads."""
    return os.environ.get("ULTRABM_OFFLINE", "") not in ("", "0")


def download(
    url: str, target: Path, *, sha256: str, size: int | None = None, timeout: float = TIMEOUT, slowest: float = SLOWEST
) -> None:
    """Puts the file of `url` at `target`, or raises DownloadFailed. `sha256` may be a prefix; `size` in bytes."""
    if offline():
        raise DownloadFailed("ULTRABM_OFFLINE is set")
    if not url.startswith(("http://", "https://")):
        raise DownloadFailed(f"{url} is no address of http or https")
    try:
        with _opener().open(url, timeout=timeout) as answer:
            target.parent.mkdir(parents=True, exist_ok=True)
            _place(answer, target, sha256=sha256, size=size, timeout=timeout, slowest=slowest)
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadFailed(f"{url} answers {error.code} {_line(error.reason)}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # a URLError and a time-out are OSErrors
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DownloadFailed(f"{url}: {_line(reason)}") from error


def _opener() -> urllib.request.OpenerDirector:
    """urllib's usual one also opens file:, ftp: and data:."""
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


def _place(answer: Any, target: Path, *, sha256: str, size: int | None, timeout: float, slowest: float) -> None:
    announced = answer.headers.get("Content-Length")
    expected = size if size is not None else int(announced) if announced else None
    if announced and int(announced) != expected:
        raise DownloadFailed(f"{answer.url} has {announced} bytes instead of {expected}: another file")
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            received, digest = _copy(answer, file, expected, name=target.name, timeout=timeout, slowest=slowest)
        if expected is not None and received < expected:
            raise DownloadFailed(f"{answer.url} ended after {received} of {expected} bytes")
        if not digest.startswith(sha256):
            raise DownloadFailed(f"{answer.url} is another file: its sha256 starts {digest[:8]}, not {sha256[:8]}")
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _copy(
    answer: Any, file: BinaryIO, expected: int | None, *, name: str, timeout: float, slowest: float
) -> tuple[int, str]:
    """(bytes, sha256) of what was copied; one byte too many or too little speed ends it."""
    from tqdm import tqdm

    digest, received, started = hashlib.sha256(), 0, time.monotonic()
    limit = LARGEST if expected is None else expected
    quiet = not sys.stderr.isatty()
    with tqdm(total=expected, desc=name, unit="B", unit_scale=True, dynamic_ncols=True, disable=quiet) as bar:
        while chunk := answer.read1(CHUNK):  # not read, which waits for a whole chunk however slowly it comes
            received += len(chunk)
            if received > limit:
                raise DownloadFailed(f"{answer.url} is longer than {limit} bytes: another file")
            seconds = time.monotonic() - started
            if seconds > timeout and received < slowest * seconds:
                raise DownloadFailed(f"{answer.url} is too slow: {received} bytes in {seconds:.0f} s")
            digest.update(chunk)
            file.write(chunk)
            bar.update(len(chunk))
    return received, digest.hexdigest()


def _line(reason: object) -> str:
    return " ".join(str(reason).split()) or type(reason).__name__
