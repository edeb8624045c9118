import base64
import io

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.report.data_uris import data_uris
from ultrabm_jax.report.entry import evenly_spaced


def decoded(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_many_noisy_images_stay_within_the_budget():
    images = {str(k): noise(480, 640, k) for k in range(6)}
    uris = data_uris(images, budget=60_000, side=640)
    assert sum(len(uri) for uri in uris.values()) < 60_000 * 4 / 3 + 6 * 40
    assert {decoded(uri).shape for uri in uris.values()} == {decoded(uris["0"]).shape}


def test_an_image_within_the_budget_keeps_its_size_and_colours():
    image = np.full((40, 60, 3), (10, 30, 50), np.uint8)
    (uri,) = data_uris({"a": image}, budget=50_000, side=96, kind="JPEG").values()
    assert uri.startswith("data:image/jpeg;base64,")
    np.testing.assert_allclose(decoded(uri), image, atol=2)


@pytest.mark.parametrize(("shape", "expected"), [((100, 400), (50, 200, 3)), ((400, 100), (200, 50, 3))])
def test_the_longer_side_is_bounded(shape, expected):
    (uri,) = data_uris({"a": np.zeros((*shape, 3), np.uint8)}, budget=50_000, side=200).values()
    assert decoded(uri).shape == expected


def test_no_images_give_no_uris():
    assert data_uris({}, budget=10, side=10) == {}


@pytest.mark.parametrize(("count", "most", "expected"), [(3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (5, 1, [0])])
def test_evenly_spaced(count, most, expected):
    assert evenly_spaced(count, most) == expected
