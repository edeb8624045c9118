"""CIEDE2000 and the chroma ratio against scikit-image in float64 and the published test pairs."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from skimage import color, data

from ultrabm_jax.image.colour import lab_from_srgb
from ultrabm_jax.metrics import METRICS, compute
from ultrabm_jax.metrics.colour_difference import ciede2000

TOLERANCE = 1e-4
# Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula", Color Research and Application 30(1), 2005, Table 1:
# two CIELAB colours and their difference.
TABLE = """
50 2.6772 -79.7751  50 0 -82.7485  2.0425      50 3.1571 -77.2803  50 0 -82.7485  2.8615
50 2.8361 -74.0200  50 0 -82.7485  3.4412      50 -1.3802 -84.2814  50 0 -82.7485  1.0000
50 -1.1848 -84.8006  50 0 -82.7485  1.0000     50 -0.9009 -85.5211  50 0 -82.7485  1.0000
50 0 0  50 -1 2  2.3669                        50 -1 2  50 0 0  2.3669
50 2.49 -0.001  50 -2.49 0.0009  7.1792        50 2.49 -0.001  50 -2.49 0.001  7.1792
50 2.49 -0.001  50 -2.49 0.0011  7.2195        50 2.49 -0.001  50 -2.49 0.0012  7.2195
50 -0.001 2.49  50 0.0009 -2.49  4.8045        50 -0.001 2.49  50 0.001 -2.49  4.8045
50 -0.001 2.49  50 0.0011 -2.49  4.7461        50 2.5 0  50 0 -2.5  4.3065
50 2.5 0  73 25 -18  27.1492                   50 2.5 0  61 -5 29  22.8977
50 2.5 0  56 -27 -3  31.9030                   50 2.5 0  58 24 15  19.4535
50 2.5 0  50 3.1736 0.5854  1.0000             50 2.5 0  50 3.2972 0  1.0000
50 2.5 0  50 1.8634 0.5757  1.0000             50 2.5 0  50 3.2592 0.335  1.0000
60.2574 -34.0099 36.2677  60.4626 -34.1751 39.4387  1.2644
63.0109 -31.0961 -5.8663  62.8187 -29.7946 -4.0864  1.2630
61.2901 3.7196 -5.3901  61.4292 2.2480 -4.9620  1.8731
35.0831 -44.1164 3.7933  35.0232 -40.0716 1.5901  1.8645
22.7233 20.0904 -46.6940  23.0331 14.9730 -42.5619  2.0373
36.4612 47.8580 18.3852  36.2715 50.5065 21.2231  1.4146
90.8027 -2.0831 1.4410  91.1528 -1.6435 0.0447  1.4441
90.9257 -0.5406 -0.9208  88.6381 -0.8985 -0.7239  1.5381
6.7747 -0.2908 -2.4247  5.8714 -0.0985 -2.2286  0.6377
2.0776 0.0795 -1.1350  0.9033 -0.0636 -0.5514  0.9082
"""
PAIRS = np.array(list(map(float, TABLE.split()))).reshape(-1, 7)


def photos():
    """(restored, reference): photos, and versions that are darker, paler, noisy, of other hue, or black."""
    rng = np.random.default_rng(0)
    crops = [data.astronaut()[:96, :128], data.coffee()[100:196, 200:328], data.chelsea()[50:146, 100:228]]
    reference = np.stack([*crops, crops[0], crops[1], crops[2]])
    restored = reference.astype(float)
    restored[0] *= 0.4
    restored[1] = restored[1].mean(axis=-1, keepdims=True) * 0.7 + restored[1] * 0.3
    restored[2] += rng.normal(0, 20, restored[2].shape)
    restored[3] = restored[3][..., [1, 2, 0]]
    restored[4] = 0
    return np.clip(np.rint(restored), 0, 255).astype(np.uint8), reference


def test_published_pairs():
    assert PAIRS.shape == (34, 7)
    first, second = (tuple(jnp.asarray(lab, jnp.float32).T) for lab in (PAIRS[:, :3], PAIRS[:, 3:6]))
    np.testing.assert_allclose(ciede2000(first, second), PAIRS[:, 6], atol=TOLERANCE)
    np.testing.assert_allclose(ciede2000(second, first), PAIRS[:, 6], atol=TOLERANCE)
    np.testing.assert_allclose(color.deltaE_ciede2000(PAIRS[:, :3], PAIRS[:, 3:6]), PAIRS[:, 6], atol=TOLERANCE)


def test_lab_of_every_channel_level():
    levels = np.stack(np.meshgrid(*[np.linspace(0, 1, 18)] * 3), -1)
    expected = color.rgb2lab(levels)
    np.testing.assert_allclose(np.stack(lab_from_srgb(levels), -1), expected, atol=1e-9)
    float32 = np.stack(lab_from_srgb(jnp.asarray(levels, jnp.float32), xp=jnp), -1)
    np.testing.assert_allclose(float32, expected, atol=2e-4)


def test_delta_e_equals_scikit_image():
    restored, reference = photos()
    expected = color.deltaE_ciede2000(color.rgb2lab(restored), color.rgb2lab(reference)).mean(axis=(1, 2))
    assert expected[:5].min() > 1
    np.testing.assert_allclose(compute("delta_e", restored, reference), expected, atol=TOLERANCE)
    as_floats = (restored / 255).astype(np.float32), (reference / 255).astype(np.float32)
    np.testing.assert_allclose(compute("delta_e", *as_floats), expected, atol=TOLERANCE)
    assert compute("delta_e", reference, reference).max() == 0
    assert METRICS["delta_e"].higher_is_better is False


def test_chroma_ratio_equals_scikit_image():
    restored, reference = photos()
    chroma = [np.hypot(*np.moveaxis(color.rgb2lab(x)[..., 1:], -1, 0)).mean(axis=(1, 2)) for x in (restored, reference)]
    np.testing.assert_allclose(compute("chroma_ratio", restored, reference), chroma[0] / chroma[1], atol=TOLERANCE)
    np.testing.assert_allclose(compute("chroma_ratio", reference, reference), 1, atol=1e-6)
    assert METRICS["chroma_ratio"].higher_is_better is None


def test_a_gray_reference_has_no_chroma_ratio():
    gray = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, None, :, None], (1, 16, 256, 3))
    colourful = np.random.default_rng(0).integers(0, 256, gray.shape, np.uint8)
    assert np.isnan(compute("chroma_ratio", colourful, gray)).all()
    assert compute("chroma_ratio", gray, colourful)[0] < 0.001


@pytest.mark.parametrize("name", ["delta_e", "chroma_ratio"])
def test_images_of_a_batch_are_measured_alone(name):
    restored, reference = photos()
    alone = [float(compute(name, a[None], b[None])[0]) for a, b in zip(restored, reference, strict=True)]
    np.testing.assert_allclose(compute(name, restored, reference), alone, rtol=1e-5, atol=1e-6)
