"""Downloads of the asset store, from a local server."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import sys
import threading
import time

import pytest

from ultrabm_jax.storage import assets
from ultrabm_jax.storage.assets import ASSETS, Asset, MissingAsset, asset_path
from ultrabm_jax.storage.download import DownloadFailed, download

DATA = bytes(range(256)) * 2000
SIZE = len(DATA)
SHA256 = hashlib.sha256(DATA).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """The last part of the path selects the behaviour."""

    def do_GET(self):
        self.server.asked.append(self.path)
        kind = self.path.rsplit("/", 1)[-1]
        body = {"other": bytes(len(DATA)), "long": DATA + b"!"}.get(kind, DATA)
        if kind == "404":
            return self.send_error(404)
        if kind in ("ftp", "file", "moved"):
            where = {"ftp": "ftp://127.0.0.1/x", "file": "file:///etc/hostname", "moved": "/whole"}[kind]
            self.send_response(302)
            self.send_header("Location", where)
            return self.end_headers()
        if kind == "silent":
            return self.server.over.wait(5)
        self.send_response(200)
        if kind not in ("endless", "unannounced"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        pieces = {"cut": [body[:1000]], "drip": [b"x"] * 100, "endless": [body] * 100}.get(kind, [body])
        for piece in pieces:
            if kind == "drip" and self.server.over.wait(0.02):
                return None
            self.wfile.write(piece)
        return None

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.setenv("ULTRABM_OFFLINE", "0")


@pytest.fixture
def server():
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.asked, web.over, web.handle_error = [], threading.Event(), lambda *_: None
    web.address = f"http://127.0.0.1:{web.server_port}"
    threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
    yield web
    web.over.set()
    web.shutdown()
    web.server_close()


@pytest.fixture
def store(server, tmp_path, monkeypatch):
    """`store(kind)` lets the server answer requests for the asset "w" this way; returns its path in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ULTRABM_ASSETS", raising=False)

    def make(kind, *, size=SIZE, direct=True):
        asset = Asset("w.bin", SHA256, size, "free", f"{server.address}/{kind}", direct=direct)
        monkeypatch.setattr(assets, "ASSETS", {"w": asset})
        return tmp_path / "ultrabm_jax" / "w.bin"

    return make


def left(path):
    return sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []


@pytest.mark.parametrize("kind", ["whole", "moved", "unannounced"])
def test_a_missing_asset_is_downloaded_once_and_announced(store, server, kind, capsys):
    place = store(kind)
    assert asset_path("w") == place
    assert place.read_bytes() == DATA
    assert left(place) == ["w.bin"]
    line = capsys.readouterr().err
    for part in (server.address, "512,000 bytes", "licence: free", str(place)):
        assert part in line
    before = len(server.asked)
    assert asset_path("w") == place
    assert len(server.asked) == before


@pytest.mark.parametrize(
    ("kind", "size", "reason"),
    [
        ("other", SIZE, f"its sha256 starts .*, not {SHA256[:8]}"),
        ("cut", SIZE, "ended after 1000 of 512000 bytes"),
        ("cut", None, "ended after 1000 of 512000 bytes"),
        ("long", SIZE, "has 512001 bytes instead of 512000"),
        ("endless", SIZE, "longer than 512000 bytes"),
        ("404", SIZE, "returned 404"),
        ("ftp", SIZE, "unknown url type: ftp|not allowed"),
        ("file", SIZE, "not allowed"),
    ],
)
def test_failed_download_gives_one_line_and_leaves_no_file(store, kind, size, reason):
    place = store(kind, size=size)
    with pytest.raises(MissingAsset, match=rf"w needs the file w\.bin.*not downloaded: .*({reason})") as caught:
        asset_path("w")
    assert SHA256 in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left(place) == []


@pytest.mark.parametrize(("kind", "reason"), [("silent", "timed out"), ("drip", "too slow: .* bytes in")])
def test_slow_server_is_abandoned(server, tmp_path, kind, reason):
    started = time.monotonic()
    with pytest.raises(DownloadFailed, match=reason):
        download(f"{server.address}/{kind}", tmp_path / "w", sha256=SHA256, size=SIZE, timeout=0.3)
    assert time.monotonic() - started < 3
    assert left(tmp_path / "w") == []


def test_offline_mode_sends_no_request(store, server, monkeypatch, capsys):
    place = store("whole")
    monkeypatch.setenv("ULTRABM_OFFLINE", "1")
    with pytest.raises(MissingAsset, match="ULTRABM_OFFLINE is set"):
        asset_path("w")
    assert (server.asked, left(place), capsys.readouterr().err) == ([], [], "")


def test_connection_failure_is_reported(store, monkeypatch):
    store("whole")
    monkeypatch.setattr(assets, "ASSETS", {"w": Asset("w", SHA256, 1, "free", "http://127.0.0.1:9/w", direct=True)})
    with pytest.raises(MissingAsset, match=r"not downloaded: .*refused"):
        asset_path("w")


def test_assets_without_direct_address_are_not_downloaded(store, server):
    store("whole", direct=False)
    with pytest.raises(MissingAsset, match="w needs the file"):
        asset_path("w")
    assert server.asked == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x", "/etc/hostname"])
def test_only_http_addresses_are_allowed(tmp_path, url):
    with pytest.raises(DownloadFailed, match="is not an http or https address"):
        download(url, tmp_path / "w", sha256="")


def test_unwritable_folder_gives_one_line(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadFailed, match=r"Not a directory|File exists"):
        download(f"{server.address}/whole", tmp_path / "file" / "w", sha256=SHA256)


def test_concurrent_downloads(server, tmp_path):
    code = "import sys; from pathlib import Path; from ultrabm_jax.storage.download import download\n"
    code += "for _ in range(3): download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])"
    argv = [sys.executable, "-c", code, f"{server.address}/whole", str(tmp_path / "w.bin"), SHA256]
    processes = [subprocess.Popen(argv) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert (tmp_path / "w.bin").read_bytes() == DATA
    assert left(tmp_path / "w.bin") == ["w.bin"]


def test_direct_assets_have_file_addresses_and_hashes():
    direct = {name for name, asset in ASSETS.items() if asset.direct}
    assert {"niqe", "brisque_model", "brisque_range", "sseq", "vgg19", "zero_dce", "sci_easy"} <= direct
    for name in direct:
        assert ASSETS[name].url.startswith("https://")
        assert ASSETS[name].package is None
        assert "/blob/" not in ASSETS[name].url
    with pytest.raises(ValueError, match="known hash"):
        Asset("w", None, None, "free", "https://example.org/w", direct=True)
