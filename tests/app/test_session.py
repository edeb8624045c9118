"""Which result of a session is kept: the network runs once for an image and its settings."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.app.models import Models
from ultrabm_jax.app.restoring import Settings, over_board, write_download, write_preview
from ultrabm_jax.app.session import is_gone, result_of, session_folder, written
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image
from ultrabm_jax.image.exposure import expose
from ultrabm_jax.inference.named import FORMULAS


@pytest.fixture
def calls(monkeypatch):
    """A formula `counted`, twice as bright; gives the sizes of the images that it restored."""
    sizes = []

    def double(low):
        sizes.append(low.shape[:2])
        return np.minimum(2 * low, 1)

    monkeypatch.setitem(FORMULAS, "counted", double)
    return sizes


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 60, (12, 10, 3), np.uint8)).save(tmp_path / "night.png")
    return tmp_path / "night.png"


@pytest.mark.parametrize("session_hash", ["../victim", "/tmp/victim", "", ".", "a/../..", "x" * 5000, "夜", None])
def test_a_session_that_names_a_path_stays_in_its_folder(tmp_path, session_hash):
    session = session_folder(tmp_path, session_hash)
    assert session.parent == tmp_path
    session.mkdir()
    assert session_folder(tmp_path, "another") != session == session_folder(tmp_path, session_hash)


def test_the_network_runs_once_for_all_exposures_and_formats(calls, photo, tmp_path):
    models, session, settings = Models(), tmp_path / "session", Settings("counted")
    result = result_of(models, photo, settings, session, None)
    expected = np.minimum(2 * read_image(photo).rgb, 1)
    for stops in (-1.0, 0.0, 1.5):
        assert result_of(models, photo, settings, session, result) is result
        write_preview(result, 0, stops)
        for kind, levels in (("PNG, 8 bits", 255), ("TIFF, 16 bits", 65535)):
            exposed = read_image(write_download(result, 0, kind, stops)).rgb
            np.testing.assert_allclose(exposed, expose(expected, stops), atol=0.51 / levels)
    assert calls == [(12, 10)]
    assert len(list(result.folder.glob("download_*"))) == 1


def test_other_settings_or_another_upload_replace_the_result(calls, photo, tmp_path):
    models, session = Models(), tmp_path / "session"
    first = result_of(models, photo, Settings("counted"), session, None)
    second = result_of(models, photo, Settings("gamma"), session, first)
    assert [is_gone(first), is_gone(second)] == [True, False]
    assert list(session.iterdir()) == [second.folder]
    assert result_of(models, photo, Settings("counted"), session, first) is not first  # its files are gone
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "other.png")
    third = result_of(models, tmp_path / "other.png", Settings("counted"), session, second)
    assert list(session.iterdir()) == [third.folder]
    assert calls == [(12, 10), (12, 10), (4, 4)]


def test_a_failure_keeps_nothing(calls, photo, tmp_path):
    session = tmp_path / "session"
    result = result_of(Models(), photo, Settings("counted"), session, None)
    with pytest.raises(UserError):
        result_of(Models(), tmp_path / "missing.png", Settings("counted"), session, result)
    assert list(session.iterdir()) == []


def test_a_result_that_is_replaced_while_a_file_is_written_gives_none(calls, photo, tmp_path):
    result = result_of(Models(), photo, Settings("counted"), tmp_path / "session", None)
    assert written(result, lambda: write_download(result, 0, "PNG, 8 bits", 0.0)).exists()

    def too_late():
        shutil.rmtree(result.folder)
        return write_preview(result, 0, 0.0)

    def full_disk():
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        written(result, full_disk)
    assert written(result, too_late) is None
    assert written(result, too_late) is None  # gone from the start


def test_sessions_keep_their_own_results_and_no_pixels_in_memory(calls, photo, tmp_path):
    results = {}

    def work(name):
        results[name] = result_of(Models(), photo, Settings("counted"), tmp_path / name, None)

    threads = [threading.Thread(target=work, args=(f"session{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {result.folder.parent.name for result in results.values()} == set(results)
    for result in results.values():
        assert write_download(result, 0, "PNG, 8 bits", 0.0).exists()
        assert result.photo.rgb.size == 0
        assert result.photo.rgb.base is None  # a view would keep the whole photo


def test_transparent_areas_show_a_board(calls, tmp_path):
    pixels = np.full((32, 32, 4), 40, np.uint8)
    pixels[:, :16, 3], pixels[:, 16:, 3] = 255, 0
    Image.fromarray(pixels).save(tmp_path / "cutout.png")
    result = result_of(Models(), tmp_path / "cutout.png", Settings("counted"), tmp_path / "session", None)
    for path, level in ((result.before, 40), (write_preview(result, 0, 0.0), 80)):
        shown = read_image(path)
        assert shown.alpha is None
        np.testing.assert_allclose(shown.rgb[:, :16], level / 255, atol=0.51 / 255)
        assert set(np.unique(np.round(shown.rgb[:, 16:], 1))) == {np.float32(0.8), np.float32(0.9)}
    assert read_image(write_download(result, 0, "PNG, 8 bits", 1.0)).alpha[0, 31] == 0
    opaque = np.ones((2, 2, 3), np.float32)
    assert over_board(opaque) is opaque
