"""The local page in a real browser: upload, restore, slider, download, errors."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax import cli
from ultrabm_jax.app import __main__ as app
from ultrabm_jax.extras import install
from ultrabm_jax.image import read_image
from ultrabm_jax.image.exposure import expose
from ultrabm_jax.image.tone_mapping import gamma
from ultrabm_jax.raw.amplification import amplification
from ultrabm_jax.raw.cfa import BAYER
from ultrabm_jax.raw.dng import write_dng

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("ULTRABM_SHARED", ROOT.parent / "shared"))  # as the fixture `shared`
needs_gradio = pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="no gradio (the extra app)")
LOW = np.linspace(0, 50, 96 * 128 * 3).reshape(96, 128, 3).astype(np.uint8)
MESSAGE = "(document.querySelector('#message .message')?.innerText ?? '')"
SHOWN_IMAGE = (
    "(() => { const r = document.querySelector('#compared img').getBoundingClientRect();"
    " return [r.x, r.y, r.width, r.height]; })()"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Serves the page from a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log, temporary = tmp_path_factory.mktemp("page") / "log.txt", tmp_path_factory.mktemp("temporary")
    with log.open("w") as stderr:
        command = [sys.executable, "-m", "ultrabm_jax.app", "--port", str(port)]
        variables = {"JAX_PLATFORMS": "cpu", "ULTRABM_ASSETS": str(SHARED / "assets"), "TMPDIR": str(temporary)}
        server = subprocess.Popen(command, cwd=ROOT, stderr=stderr, env=os.environ | variables)
        try:
            while "the page is at" not in log.read_text():
                assert server.poll() is None, log.read_text()
                try:
                    server.wait(0.2)
                except subprocess.TimeoutExpired:
                    continue
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
    assert "Traceback" not in log.read_text()
    assert list(temporary.glob("ultrabm_jax_*")) == []  # uploads and results are deleted


@pytest.fixture
def page(browser, address):
    browser.call("Emulation.setFocusEmulationEnabled", enabled=True)  # lists open only in a window with the focus
    browser.open(address, width=1300, height=1000)
    browser.wait(
        "['#upload input[type=file]', '#restore', '#download'].every((e) => document.querySelector(e) !== null)"
    )
    return browser


def choose_model(page, name):
    page.click("#model input")
    option = f"[...document.querySelectorAll('[role=option]')].find((e) => e.textContent.includes('{name}'))"
    page.wait(f"{option} !== undefined")
    page.js(f"{option}.dispatchEvent(new MouseEvent('mousedown', {{bubbles: true}}))")
    page.wait("document.querySelector('#facts').innerText.includes('formula')")


def upload(page, file):
    page.choose_file("#upload input[type=file]", file)
    page.wait("document.querySelector('#upload a') !== null")  # the link to the stored file


def download(page, folder, name):
    """Clicks the button, once it has this name; gives the file."""
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    page.wait(f"document.querySelector('#download').innerText === 'Download {name}'")
    page.wait("document.querySelector('#download').matches(':not([disabled])')")
    page.click("#download")
    for _ in range(100):
        if (folder / name).exists():
            return folder / name
        page.js("new Promise((done) => setTimeout(done, 100))")
    raise AssertionError(f"{name} was not downloaded")


def set_slider(page, selector, value):
    """Sets a slider as a drag does."""
    events = "['input', 'change', 'pointerup'].map((name) => new Event(name, {bubbles: true}))"
    page.js(
        f"(() => {{ const slider = document.querySelector('{selector} input[type=range]'); slider.value = '{value}';"
        f" for (const event of {events}) slider.dispatchEvent(event); }})()"
    )


def assert_no_errors(page, address):
    assert [line for line in page.complaints if '"error"' in line or "exceptionDetails" in line] == []
    assert [url for url in page.requests if not url.startswith((address, "data:", "blob:"))] == []


@needs_gradio
def test_a_photo_is_restored_compared_and_downloaded(page, address, tmp_path):
    Image.fromarray(LOW).save(tmp_path / "night.png")
    choose_model(page, "gamma")
    upload(page, tmp_path / "night.png")
    page.click("#restore")
    page.wait(f"{MESSAGE}.includes('128 x 96 pixels, gamma')")
    page.wait("document.querySelectorAll('#compared img').length === 2")
    page.wait("[...document.querySelectorAll('#compared img')].every((image) => image.complete)")

    x, y, width, height = page.js(SHOWN_IMAGE)
    shown = []
    for start, end in ((0.5, 0.1), (0.1, 0.9)):  # drags the handle to the left, then to the right
        page.drag((x + start * width, y + height / 2), (x + end * width, y + height / 2))
        shown.append(np.asarray(page.screenshot())[int(y + 0.25 * height), int(x + width / 2)].mean())
    assert shown[0] > shown[1] + 40  # first the restored image in the middle, then the dark one

    page.js("document.querySelectorAll('#format input')[2].click()")
    image = read_image(download(page, tmp_path / "downloads", "night_restored.tif"))
    assert image.bits == 16
    np.testing.assert_allclose(image.rgb, gamma(LOW.astype(np.float32) / 255), atol=1 / 65535)
    assert_no_errors(page, address)


@needs_gradio
def test_an_exposure_is_applied_without_another_click(page, address, tmp_path):
    Image.fromarray(LOW).save(tmp_path / "night.png")
    choose_model(page, "gamma")
    set_slider(page, "#stops", 1)  # before there is a result
    upload(page, tmp_path / "night.png")
    page.click("#restore")
    page.wait(f"{MESSAGE}.includes('gamma, +1 stops')")
    for stops in (2, 0):
        set_slider(page, "#stops", stops)
        page.wait(f"{MESSAGE}.includes('gamma, +2 stops') === {'true' if stops else 'false'}")
        page.wait("[...document.querySelectorAll('#compared img')].every((image) => image.complete)")
        file = download(page, tmp_path / f"downloads{stops}", "night_restored.png")
        expected = expose(gamma(LOW.astype(np.float32) / 255), stops)
        np.testing.assert_allclose(read_image(file).rgb, expected, atol=0.51 / 255)
    assert_no_errors(page, address)


@needs_gradio
def test_a_heic_photo_is_restored(page, address, tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="no pillow-heif (the extra heif)")
    heif.from_pillow(Image.fromarray(LOW * np.uint8([3, 1, 2]))).save(tmp_path / "phone.heic", quality=-1)
    choose_model(page, "gamma")
    upload(page, tmp_path / "phone.heic")
    page.click("#restore")
    page.wait(f"{MESSAGE}.includes('phone.heic: 128 x 96 pixels, gamma')")
    file = download(page, tmp_path / "downloads", "phone_restored.png")
    expected = gamma(read_image(tmp_path / "phone.heic").rgb)
    np.testing.assert_allclose(read_image(file).rgb, expected, atol=0.51 / 255)
    assert_no_errors(page, address)


@needs_gradio
def test_a_raw_file_is_restored_at_a_brightness(page, address, shared, tmp_path):
    pytest.importorskip("rawpy", reason="no rawpy (the extra raw)")
    mosaic = np.random.default_rng(0).integers(0, 200, (64, 96), np.uint16)
    write_dng(tmp_path / "night.dng", mosaic, pattern=BAYER, black=0, white=4095)
    upload(page, tmp_path / "night.dng")
    page.wait("document.querySelector('#model input').value === 'red' && document.querySelector('#m') !== null")
    means = []
    for m in (1, 4):
        set_slider(page, "#m", m)
        page.click("#restore")
        factor = amplification("auto", mosaic.astype(np.float32) / 4095, m)
        page.wait(f"{MESSAGE}.includes('night.dng: 96 x 64 pixels, red, amplified {factor:.1f} times')", seconds=120)
        file = download(page, tmp_path / f"downloads{m}", "night_restored.png")
        means.append(read_image(file).rgb.mean())
    assert read_image(file).rgb.shape == (64, 96, 3)
    assert means[1] > means[0]
    assert_no_errors(page, address)


@needs_gradio
def test_errors_are_one_line_in_the_page(page, tmp_path):
    page.click("#restore")
    page.wait(f"{MESSAGE} === 'choose a photo or a camera raw file first'")
    (tmp_path / "broken.jpg").write_bytes(b"<b>not an image</b>")
    upload(page, tmp_path / "broken.jpg")
    page.click("#restore")
    page.wait(f"{MESSAGE}.startsWith('broken.jpg: ')")
    assert "\n" not in page.js(MESSAGE)
    assert page.js("document.querySelectorAll('#compared img').length") == 0


@needs_gradio
def test_a_raw_file_chooses_its_model_and_shows_its_controls(page, tmp_path):
    assert page.js("document.querySelector('#m') === null")
    (tmp_path / "night.dng").write_bytes(b"II*\0")
    upload(page, tmp_path / "night.dng")
    page.wait("document.querySelector('#model input').value === 'red'")
    page.wait("document.querySelector('#m') !== null && document.querySelector('#stops') === null")
    page.click("#restore")
    page.wait(f"{MESSAGE} !== ''")
    assert "\n" not in page.js(MESSAGE)


@needs_gradio
def test_a_port_that_is_taken_is_reported_in_one_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert cli.run(lambda: app.main(["--port", str(taken.getsockname()[1])])) == 1
    assert re.match(r"error: the page cannot be served at 127\.0\.0\.1, port \d+, \(.*\)\n$", capsys.readouterr().err)


@needs_gradio
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "65536"], "--port is from 1 to 65535, not 65536"),
        (["--port", "0"], "--port is from 1 to 65535, not 0"),
        (["--host", "192.0.2.1"], "the page cannot be served at 192.0.2.1 ("),  # an address of no machine
    ],
)
def test_an_address_that_cannot_be_served_is_reported_at_once(flags, message, capsys):
    assert cli.run(lambda: app.main(flags)) == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")


@needs_gradio
def test_a_request_cannot_delete_folders_of_the_machine(address, tmp_path):
    """The session of a request is a text of the client, here a path."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("kept")
    buffer = io.BytesIO()
    Image.fromarray(LOW).save(buffer, "PNG")
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="low.png"\r\n\r\n' + buffer.getvalue()
    (uploaded,) = post(f"{address}gradio_api/upload", body + b"\r\n--b--\r\n", "multipart/form-data; boundary=b")
    with urllib.request.urlopen(f"{address}config") as answer:
        functions = {entry["api_name"]: entry["id"] for entry in json.load(answer)["dependencies"]}
    file = {"path": uploaded, "meta": {"_type": "gradio.FileData"}}
    request = {"fn_index": functions["click"], "session_hash": str(tmp_path)}
    request["data"] = [None, file, "gamma", 0, 0, 1, 0]
    post(f"{address}gradio_api/queue/join", json.dumps(request).encode(), "application/json")
    stream = f"{address}gradio_api/queue/data?session_hash={urllib.parse.quote(str(tmp_path), safe='')}"
    with urllib.request.urlopen(stream, timeout=60) as events:
        done = next(line for line in events if b"process_completed" in line)
    assert json.loads(done.removeprefix(b"data:"))["success"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "file").read_text() == "kept"


def post(url, body, kind):
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": kind})) as answer:
        return json.load(answer)


def test_without_gradio_the_command_names_the_extra(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gradio" else find(name))
    assert cli.run(lambda: app.main([])) == 1
    assert capsys.readouterr().err == f"error: the page needs gradio: {install('gradio')}\n"


def test_the_page_is_served_on_loopback_unless_asked():
    assert app.parser().parse_args([]).host == "127.0.0.1"
    with pytest.raises(SystemExit):
        app.parser().parse_args(["--share"])
