"""Which image sizes share a program, and that restored images do not depend on it."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ultrabm_jax.inference.canvases import CanvasChoice
from ultrabm_jax.inference.files import restore_files
from ultrabm_jax.inference.jobs import plan
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.models import create_task

SIZES = [(120 + 7 * i % 113, 160 + 11 * i % 157) for i in range(20)]


def programs(sizes, price, *, announced=True, tile=640):
    """The canvases that are chosen for images of `sizes`, in turn."""
    choice = CanvasChoice(multiple=16, tile=tile)
    if announced:
        choice.expect(sizes)
    return [choice.choose(size, lambda: price) for size in sizes]


def test_one_size_is_restored_without_a_canvas():
    assert programs([(30, 40)] * 3, 1e6) == [None] * 3


def test_the_price_is_not_computed_for_one_size():
    choice = CanvasChoice(multiple=16, tile=0)
    assert choice.choose((30, 40), pytest.fail) is None
    assert choice.choose((30, 40), pytest.fail) is None


def test_announced_sizes_share_one_canvas_if_compiling_is_expensive():
    assert set(programs(SIZES, 1e7)) == {(240, 320)}


def test_announced_sizes_do_not_share_if_compiling_is_cheap():
    assert programs(SIZES, 1.0) == [None] * len(SIZES)


def test_sizes_that_were_not_announced_need_few_canvases():
    assert len(set(programs(SIZES, 1e7, announced=False))) <= 4


@pytest.mark.parametrize("price", [1e4, 1e5, 1e6])
def test_canvases_cost_at_most_twice_what_programs_of_one_size_cost(price):
    """Pixels and compilations together, compared with one program and the same pixels."""
    canvases = programs(SIZES, price)
    pixels = sum(h * w for h, w in SIZES)
    computed = sum(c[0] * c[1] if c else h * w for (h, w), c in zip(SIZES, canvases, strict=True))
    assert computed + price * len(set(canvases)) <= 2 * (pixels + price)


@pytest.mark.parametrize("announced", [False, True])
def test_every_image_fits_on_its_canvas(announced):
    for (h, w), canvas in zip(SIZES, programs(SIZES, 2e5, announced=announced), strict=True):
        assert canvas is None or (canvas[0] >= h and canvas[1] >= w and canvas[0] % 16 == canvas[1] % 16 == 0)


def test_a_second_size_that_was_not_announced_gets_a_canvas_for_both():
    assert programs([(30, 40), (20, 64), (30, 50)], 1e6, announced=False) == [None, (48, 80), (48, 80)]


def test_a_size_that_occurs_often_gets_its_own_program():
    sizes = [(230, 310)] * 10 + [(400, 600)] + [(230, 310)] * 90
    assert programs(sizes, 1e5) == [(416, 640) if size == (400, 600) else None for size in sizes]
    assert programs(sizes, 1e6)[0] == (240, 320)


def test_the_choice_depends_only_on_the_sizes():
    assert programs(SIZES, 2e5) == programs(SIZES, 2e5)


def test_canvases_are_hardly_larger_than_a_tile():
    sizes = [(40, 400), (400, 40), (120, 130), (128, 128)]
    canvases = programs(sizes, 1e12, tile=128)
    assert all(c is None or c[0] * c[1] <= 1.25 * 128**2 for c in canvases)
    assert canvases[2] == canvases[3] == (128, 144)


def test_sizes_without_a_canvas_below_the_limit_get_their_own_program():
    assert programs([(7, 9), (9, 7)], 1e12, tile=10) == [None, None]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "input_maps"])
def light(request, random_variables):
    """A tiny network with padding, strided convolutions and channel attention, and one with an equalised input."""
    task = create_task("lw_drgn", width=8, groups=1, depth=1, reduction=4, input_maps=request.param)
    return task, random_variables(task.model, task.example_input())


def images(sizes):
    return [np.random.default_rng(size).random((*size, 3), np.float32) for size in sizes]


@pytest.mark.parametrize("announced", [False, True])
def test_images_of_many_sizes_are_restored_as_alone(light, announced):
    sizes = [(33, 47), (1, 60), (20, 5), (48, 40), (48, 40)]
    shared, alone = Restorer(*light), Restorer(*light, exact=True)
    if announced:
        shared.expect(sizes)
    for low in images(sizes):
        restored = shared(low)
        assert restored.shape == low.shape
        np.testing.assert_allclose(restored, alone(low), rtol=0, atol=1e-5)
    compiled = shared._restore._alone._cache_size() + shared._restore._on_canvas._cache_size()
    assert compiled <= (1 if announced else 3)


def test_tiles_and_previews_of_many_sizes_are_those_of_a_program_for_each(light):
    shared, alone = (Restorer(*light, tile=64, overlap=8, exact=exact) for exact in (False, True))
    for low in images([(90, 60), (70, 75), (20, 250), (40, 44)]):
        np.testing.assert_allclose(shared(low), alone(low), rtol=0, atol=1e-5)


def test_statistics_are_those_of_the_image_alone(light):
    shared, alone = Restorer(*light), Restorer(*light, exact=True)
    for low in images([(33, 47), (20, 60), (41, 30)]):
        expected = alone.record(low)
        assert jax.tree.leaves(expected)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), shared.record(low), expected)


def test_files_of_several_sizes_are_announced(light, image, tmp_path):
    for i, size in enumerate([(33, 47), (20, 60), (41, 30)]):
        image(tmp_path / "in" / f"{i}.png", *size)
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    restorer = Restorer(*light)
    assert restore_files(restorer, plan([tmp_path / "in"], tmp_path / "out")) == 1  # the broken file
    assert restorer._restore._alone._cache_size() == 0
    assert restorer._restore._on_canvas._cache_size() == 1


def test_a_network_without_canvases_is_compiled_for_every_size_and_says_so(network, logged):
    restorer = Restorer(*network)
    for low in images([(9, 8), (9, 8), (8, 9), (10, 10)]):
        restorer(low)
    assert restorer._restore._alone._cache_size() == 3
    assert [line for line in logged if "every image size" in line] == [
        "FakeNet is compiled for every image size, because its layers do not support canvases"
    ]
