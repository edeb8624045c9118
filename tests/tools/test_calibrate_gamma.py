"""The calibration of coco_dark's darkness reaches the given PSNR on other photos, and the records use it."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from input_pipeline.sampling import image_rng
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.gamma_darkness import GAMMA, darken_by_gamma
from ultrabm_jax.metrics import compute
from ultrabm_jax.tools import calibrate_gamma


@pytest.fixture
def photos(tmp_path):
    """Twelve bright images of different contrast."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(12):
        rng = np.random.default_rng(k)
        values = np.clip(rng.normal(0.35 + 0.03 * k, 0.2, (24, 32, 3)), 0, 1)
        Image.fromarray(np.rint(255 * values).astype(np.uint8)).save(folder / f"{k:012}.png")
    return folder


def mean_scores(photos, gamma):
    pairs = [(np.asarray(Image.open(path)), path.stem) for path in sorted(photos.iterdir())]
    dark = [darken_by_gamma(image, image_rng(0, name), gamma=gamma) for image, name in pairs]
    each = [
        [float(compute(p, d[None], image[None])[0]) for p in ("psnr_rgb", "ssim_rgb")]
        for d, (image, _) in zip(dark, pairs, strict=True)
    ]
    return np.mean(each, axis=0)


@pytest.mark.parametrize("target", [11.58, 9.0])
def test_the_dark_images_have_the_given_psnr(photos, tmp_path, target):
    output = tmp_path / "gamma.json"
    assert calibrate_gamma.main([str(photos), "--psnr", str(target), "--output", str(output)]) == 0
    found = json.loads(output.read_text())
    assert found["images"] == 12
    assert found["folder"] == "photos"
    assert found["gamma"][0] == GAMMA[0]
    psnr, ssim = mean_scores(photos, tuple(found["gamma"]))
    assert psnr == pytest.approx(target, abs=0.05)
    assert found["psnr_rgb"] == pytest.approx(psnr, abs=2e-3)
    assert found["ssim_rgb"] == pytest.approx(ssim, abs=2e-4)


def test_a_psnr_out_of_reach_names_the_possible_ones(photos):
    with pytest.raises(UserError, match=r"--psnr 40\.0: these photos allow \d+\.\d\d to \d+\.\d\d dB"):
        calibrate_gamma.main([str(photos), "--psnr", "40"])


def test_count_takes_the_photos_that_the_records_take(photos, capsys):
    calibrate_gamma.main([str(photos), "--psnr", "10", "--count", "5"])
    assert json.loads(capsys.readouterr().out)["images"] == 5


def test_the_records_use_the_calibrated_range(photos, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    from input_pipeline.builders import open_builder

    root = tmp_path / "coco"
    for folder in ("train2017", "val2017"):
        shutil.copytree(photos, root / folder)
    calibrate_gamma.main([str(root / "val2017"), "--output", str(root / "gamma.json")])
    gamma = tuple(json.loads((root / "gamma.json").read_text())["gamma"])
    assert gamma != GAMMA
    builder = open_builder("coco_dark", tmp_path / "records", root)
    builder.download_and_prepare()
    examples = list(tfds.as_numpy(builder.as_dataset("test")))
    assert len(examples) == 12
    for example in examples:
        rng = image_rng(0, example["name"].decode())
        np.testing.assert_array_equal(example["low"], darken_by_gamma(example["reference"], rng, gamma=gamma))
    psnr = [float(compute("psnr_rgb", e["low"][None], e["reference"][None])[0]) for e in examples]
    assert np.mean(psnr) == pytest.approx(11.58, abs=0.05)


@pytest.mark.parametrize("text", ["{}", "[1.5, 5]", '{"gamma": [3]}', '{"gamma": [5, 1.5]}', '{"gamma": [0, 2]}'])
def test_another_content_of_the_file_is_refused(photos, tmp_path, text):
    pytest.importorskip("tensorflow_datasets")
    from input_pipeline.builders.coco_dark import read_gamma

    (tmp_path / "gamma.json").write_text(text)
    with pytest.raises(UserError, match=r"gamma\.json"):
        read_gamma(tmp_path / "gamma.json")
