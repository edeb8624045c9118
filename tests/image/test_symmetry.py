"""The eight flips and rotations of the square: their group, EXIF's numbers, and equality in NumPy and JAX."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageOps

from ultrabm_jax.image.symmetry import FROM_EXIF, flip_rotate, flip_rotate_each, inverse, swaps_sides

RNG = np.random.default_rng(0)


def test_eight_different_symmetries():
    image = np.arange(27).reshape(3, 3, 3)
    turned = [flip_rotate(image, symmetry) for symmetry in range(8)]
    assert len({t.tobytes() for t in turned}) == 8
    np.testing.assert_array_equal(turned[0], image)
    for t in turned:  # each keeps the centre, and the corners as a set: an isometry
        np.testing.assert_array_equal(t[1, 1], image[1, 1])
        assert {tuple(t[i, j]) for i in (0, 2) for j in (0, 2)} == {tuple(image[i, j]) for i in (0, 2) for j in (0, 2)}


@pytest.mark.parametrize("symmetry", range(8))
def test_index_means_a_rotation_then_a_flip(symmetry):
    image = RNG.integers(0, 256, (5, 7, 3), np.uint8)
    rotated = np.rot90(image, symmetry % 4)
    wanted = rotated[:, ::-1] if symmetry >= 4 else rotated
    np.testing.assert_array_equal(flip_rotate(image, symmetry), wanted)
    assert swaps_sides(symmetry) == (flip_rotate(image, symmetry).shape != image.shape)


@pytest.mark.parametrize("symmetry", range(8))
def test_inverse_undoes_the_symmetry(symmetry):
    image = RNG.integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(flip_rotate(flip_rotate(image, symmetry), inverse(symmetry)), image)


@pytest.mark.parametrize("xp", [np, jnp])
def test_batches_agree_with_single_images(xp):
    images = RNG.integers(0, 256, (8, 5, 5, 3), np.uint8)
    turned = flip_rotate_each(xp.asarray(images), xp.arange(8), xp=xp)
    for symmetry in range(8):
        np.testing.assert_array_equal(turned[symmetry], flip_rotate(images[symmetry], symmetry))
        np.testing.assert_array_equal(flip_rotate(xp.asarray(images[symmetry]), symmetry), turned[symmetry])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations_agree_with_pillow(orientation):
    image = Image.fromarray(RNG.integers(0, 256, (5, 7, 3), np.uint8))
    image.getexif()[274] = orientation
    upright = flip_rotate(np.asarray(image), FROM_EXIF[orientation])
    np.testing.assert_array_equal(upright, np.asarray(ImageOps.exif_transpose(image)))
