"""Lightness order error against the definition, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import compute
from ultrabm_jax.metrics.lightness_order import order_errors

RNG = np.random.default_rng(0)


def slow_errors(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.ravel(), b.ravel()
    return float(np.sum((a[None] >= a[:, None]) != (b[None] >= b[:, None])) / a.size)


@pytest.mark.parametrize("levels", [2, 256])
def test_histogram_count_equals_pairwise_count(levels):
    a, b = RNG.integers(0, levels, (2, 9, 13))
    assert order_errors(a, b) == slow_errors(a, b)
    assert order_errors(b, a) == slow_errors(a, b)


def test_loe_from_its_definition():
    low, restored = RNG.integers(0, 256, (2, 1, 103, 157, 3), dtype=np.uint8)
    sampled = []
    for image in (low[0], restored[0]):
        padded = np.pad(image.max(-1), 7, mode="symmetric")
        local = np.array([[padded[y : y + 15, x : x + 15].max() for x in range(157)] for y in range(103)])
        sampled.append(local[1::2, 1::2])
    assert compute("loe", restored, low=low)[0] == slow_errors(*sampled)
    rows, columns = (np.round(np.linspace(1, side, 100) + 1e-9).astype(int) - 1 for side in (103, 157))
    nearest = [image.max(-1)[rows][:, columns] for image in (low[0], restored[0])]
    assert compute("loe_100", restored, low=low)[0] == slow_errors(*nearest)


@pytest.mark.parametrize("name", ["loe", "loe_100"])
def test_monotone_curves_keep_the_order_and_inversion_loses_it(name):
    ramp = np.arange(60 * 70).reshape(1, 60, 70, 1) * 100 // (60 * 70 - 1)
    low = np.repeat(ramp, 3, axis=-1).astype(np.uint8)
    curve = np.rint(np.arange(101) ** 1.2).astype(np.uint8)
    assert (np.diff(curve.astype(int)) > 0).all()
    assert compute(name, low, low=low)[0] == 0
    assert compute(name, curve[low], low=low)[0] == 0
    assert compute(name, 255 - low, low=low)[0] > 1000


@pytest.mark.parametrize("level", [0, 255])
def test_flat_images_have_no_order_errors(level):
    flat = np.full((1, 50, 60, 3), level, np.uint8)
    assert compute("loe", flat, low=flat)[0] == 0
    assert compute("loe_100", flat, low=flat)[0] == 0


def test_loe_of_super_resolution_has_two_named_protocols():
    low, restored = (
        RNG.integers(0, 256, (1, 60, 70, 3), dtype=np.uint8),
        RNG.integers(0, 256, (1, 120, 140, 3), dtype=np.uint8),
    )
    channels = [Image.fromarray(low[0, ..., c] / np.float32(255)).resize((140, 120), Image.BICUBIC) for c in range(3)]
    enlarged = np.rint(255 * np.clip(np.stack(channels, axis=-1), 0, 1)).astype(np.uint8)[None]
    assert compute("loe_up", restored, low=low)[0] == compute("loe", restored, low=enlarged)[0] > 0
    assert compute("loe_up", restored, low=restored)[0] == compute("loe", restored, low=restored)[0] == 0
    assert compute("loe_up", low, low=low[:, ::-1])[0] == compute("loe", low, low=low[:, ::-1])[0] > 0
    reference = RNG.integers(0, 256, (1, 120, 140, 3), dtype=np.uint8)
    assert compute("loe_ref", restored, reference)[0] == compute("loe", restored, low=reference)[0]
    with pytest.raises(UserError, match="loe_up: 140x120 is not 64x60 enlarged by a whole factor"):
        compute("loe_up", restored, low=low[:, :, :64])
    with pytest.raises(UserError, match="a border cannot be cut from images of different sizes"):
        compute("loe_up_crop4", restored, low=low)


def test_errors():
    image = np.zeros((1, 49, 80, 3), np.uint8)
    with pytest.raises(UserError, match="LOE needs at least 50 pixels a side, got 49x80"):
        compute("loe", image, low=image)
    with pytest.raises(UserError, match=r"loe compares with the low-light input \(low=\.\.\.\), and none was given"):
        compute("loe", image, image)
    with pytest.raises(UserError, match="of the same size"):
        compute("loe", image, low=image[:, ::2])
