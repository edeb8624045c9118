import base64
import io

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.report.images import data_uris, evenly


def decoded(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_many_noisy_images_stay_within_the_budget():
    images = {str(k): noise(480, 640, k) for k in range(6)}
    uris = data_uris(images, budget=60_000, side=640)
    assert sum(len(uri) for uri in uris.values()) < 60_000 * 4 / 3 + 6 * 40
    assert {decoded(uri).shape for uri in uris.values()} == {decoded(uris["0"]).shape}


def test_what_fits_keeps_its_size_and_colors():
    image = np.full((40, 60, 3), (10, 30, 50), np.uint8)
    (uri,) = data_uris({"a": image}, budget=50_000, side=96, kind="JPEG").values()
    assert uri.startswith("data:image/jpeg;base64,")
    np.testing.assert_allclose(decoded(uri), image, atol=2)


@pytest.mark.parametrize(("shape", "expected"), [((100, 400), (50, 200, 3)), ((400, 100), (200, 50, 3))])
def test_the_longer_side_is_bounded(shape, expected):
    (uri,) = data_uris({"a": np.zeros((*shape, 3), np.uint8)}, budget=50_000, side=200).values()
    assert decoded(uri).shape == expected


def test_no_image_no_uri():
    assert data_uris({}, budget=10, side=10) == {}


@pytest.mark.parametrize(("count", "shown", "expected"), [(3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (5, 1, [0])])
def test_evenly(count, shown, expected):
    assert evenly(count, shown) == expected
