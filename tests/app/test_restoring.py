"""What a click on "Restore" computes, without Gradio."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.app import models as app_models
from ultrabm_jax.app.models import Models, default_model
from ultrabm_jax.app.restoring import DOWNLOADS, Settings, restore_upload, write_download, write_preview
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image, write_image
from ultrabm_jax.image.colour import linear_from_srgb
from ultrabm_jax.image.exposure import expose
from ultrabm_jax.image.tone_mapping import gamma
from ultrabm_jax.inference.pretrained import load_pretrained_run
from ultrabm_jax.pretrained import DEFAULT_MODEL, list_pretrained
from ultrabm_jax.raw.cfa import BAYER
from ultrabm_jax.raw.dng import write_dng

PIXELS = np.random.default_rng(0).integers(0, 60, (12, 10, 3), np.uint8)


@pytest.fixture(scope="module")
def models():
    return Models()


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "night.png", dpi=(72, 72))
    return tmp_path / "night.png"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "session").mkdir()
    return tmp_path / "session"


class FlowModels(Models):
    """SCI stands for a model of a distribution: sample i at temperature t is the input plus t (i + 1)."""

    def can_sample(self, name):
        return True

    def _sampler(self, name):
        class Sampler:
            def at(self, temperature):
                return lambda low, *, seed, index: np.clip(low + temperature * (index + 1 + seed), 0, 1)

        return Sampler()


def test_the_default_model_comes_first_and_all_kinds_are_offered(models):
    contained = list_pretrained()
    assert models.names[0] == default_model() == (DEFAULT_MODEL if DEFAULT_MODEL in contained else contained[0])
    assert len(set(models.names)) == len(models.names)
    assert {"red", "zero_dce", "sci_medium", "gamma", *contained} <= set(models.names)
    for name in models.names:
        assert models.describe(name).startswith("Restores ")


def test_an_upload_chooses_a_model_of_its_kind(models):
    assert models.model_for("mosaic", "gamma") == "red"
    assert models.model_for("mosaic", "red") == "red"
    assert models.model_for("rgb", "red") == default_model()
    assert models.model_for("rgb", "clahe") == "clahe"


def test_a_formula_restores_a_photo(models, photo, folder):
    result = restore_upload(models, photo, Settings("gamma"), folder)
    low = PIXELS.astype(np.float32) / 255
    np.testing.assert_array_equal(np.load(result.arrays[0]), gamma(low))
    np.testing.assert_array_equal(read_image(result.before).rgb, low)
    np.testing.assert_allclose(read_image(write_preview(result, 0, 0.0)).rgb, gamma(low), atol=0.51 / 255)
    assert result.summary(0.0).startswith("night.png: 10 x 12 pixels, gamma, ")


@pytest.mark.parametrize("kind", DOWNLOADS)
def test_downloads_have_the_bits_and_the_resolution(models, photo, folder, kind):
    result = restore_upload(models, photo, Settings("gamma"), folder)
    file = write_download(result, 0, kind, 0.0)
    suffix, bits = DOWNLOADS[kind]
    assert file.name == f"night_restored{suffix}"
    image = read_image(file)
    assert image.bits == bits
    assert image.dpi == pytest.approx((72, 72), abs=0.1)
    np.testing.assert_allclose(image.rgb, np.load(result.arrays[0]), atol=0.51 / (2**bits - 1))


def test_exposure_is_a_gain_of_the_restored_image_in_linear_light(models, photo, folder):
    low = PIXELS.astype(np.float32) / 255
    exposed = expose(low, 2)
    np.testing.assert_allclose(linear_from_srgb(exposed), np.minimum(4 * linear_from_srgb(low), 1), atol=1e-5)
    assert expose(low, 0) is low
    assert expose(low, 20).max() == pytest.approx(1)
    result = restore_upload(models, photo, Settings("gamma"), folder)
    image = read_image(write_download(result, 0, "TIFF, 16 bits", 2.0))
    np.testing.assert_allclose(image.rgb, expose(gamma(low), 2), atol=0.51 / 65535)
    np.testing.assert_allclose(read_image(write_preview(result, 0, 2.0)).rgb, expose(gamma(low), 2), atol=0.51 / 255)
    assert "gamma, +2 stops, " in result.summary(2.0)
    np.testing.assert_array_equal(np.load(result.arrays[0]), gamma(low))  # the kept result has none
    np.testing.assert_array_equal(read_image(result.before).rgb, low)  # the slider shows the file as it is
    with pytest.raises(UserError, match="number of stops from -20 to 20, not nan"):
        expose(low, float("nan"))


def test_samples_are_numbered_and_depend_on_the_temperature(photo, folder):
    settings = Settings("sci_medium", temperature=0.25, samples=2, seed=1)
    result = restore_upload(FlowModels(), photo, settings, folder)
    low = PIXELS.astype(np.float32) / 255
    for index, array in enumerate(result.arrays):
        np.testing.assert_allclose(np.load(array), np.clip(low + 0.25 * (index + 2), 0, 1))
    assert write_download(result, 1, "PNG, 8 bits", 0.0).name == "night_restored_sample2.png"
    with pytest.raises(UserError, match="all samples are the same"):
        restore_upload(FlowModels(), photo, Settings("sci_medium", samples=2), folder)
    with pytest.raises(UserError, match="samples are 1 to 16, not 17"):
        restore_upload(FlowModels(), photo, Settings("sci_medium", temperature=1, samples=17), folder)


def test_a_photo_for_raw_files_and_a_raw_file_for_photos_name_another_model(models, photo, folder, tmp_path):
    with pytest.raises(UserError, match=r"^red restores camera raw files; for photos choose "):
        restore_upload(models, photo, Settings("red"), folder)
    with pytest.raises(UserError, match=r"^gamma restores photos; for camera raw files choose red, for example$"):
        restore_upload(models, tmp_path / "night.dng", Settings("gamma"), folder)


def test_a_damaged_file_is_named_without_its_folder(models, folder, tmp_path):
    (tmp_path / "night.jpg").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"^night\.jpg: "):
        restore_upload(models, tmp_path / "night.jpg", Settings("gamma"), folder)


def test_an_image_that_does_not_fit_into_memory_is_reported(models, photo, folder, monkeypatch):
    def fail(_):
        raise MemoryError

    monkeypatch.setattr("ultrabm_jax.app.restoring.read_image", fail)
    with pytest.raises(UserError, match=r"^night\.png does not fit into memory$"):
        restore_upload(models, photo, Settings("gamma"), folder)


def test_training_runs_are_offered_and_loaded_at_once(monkeypatch, tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path} holds no run"):
        Models([tmp_path])
    read: list[str] = []

    def load(name):
        read.append(name)
        return load_pretrained_run(DEFAULT_MODEL)

    monkeypatch.setattr(app_models, "load_trained", load)
    models = Models(["gs://bucket/run"])
    assert models.names[1] == "gs://bucket/run"
    assert models.describe("gs://bucket/run") == "Restores photos. A training run of your own."
    assert read == ["gs://bucket/run"]


def test_a_raw_file_is_amplified_by_m(shared, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("ULTRABM_ASSETS", str(shared / "assets"))
    mosaic = np.random.default_rng(0).integers(0, 200, (32, 32), np.uint16)
    write_dng(tmp_path / "night.dng", mosaic, pattern=BAYER, black=0, white=4095)
    models = Models()
    plain, brighter = (
        restore_upload(models, tmp_path / "night.dng", Settings("red", m=m), folder).summary(1.0) for m in (1, 4)
    )
    ratio = [float(text.split("amplified ")[1].split(" ")[0]) for text in (plain, brighter)]
    assert ratio[1] == pytest.approx(4 * ratio[0], rel=0.05)
    assert "stops" not in plain
    assert "--levels" not in plain
    with pytest.raises(UserError, match="brightness m"):
        restore_upload(models, tmp_path / "night.dng", Settings("red", m=-1), folder)


def test_previews_of_large_images_are_shrunk(models, folder, tmp_path):
    write_image(tmp_path / "wide.png", np.full((3, 5000, 3), 0.1, np.float32))
    result = restore_upload(models, tmp_path / "wide.png", Settings("gamma"), folder)
    assert read_image(result.before).rgb.shape == (1, 2048, 3)
    assert read_image(write_preview(result, 0, 0.0)).rgb.shape == (1, 2048, 3)
    assert np.load(result.arrays[0]).shape == (3, 5000, 3)
