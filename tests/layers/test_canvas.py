"""An image on a larger canvas gives the same result as alone: every network, with one program for all sizes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick_xla

from ultrabm_jax.backbones import hrnet
from ultrabm_jax.layers.canvas import Canvas, current_canvas, pad_by_reflection, use_canvas
from ultrabm_jax.layers.resampling import nearest
from ultrabm_jax.models import MODELS, create_task
from ultrabm_jax.models.task import draw_noise

SHAPE = 96, 96  # of the canvas
SIZES = [(33, 47), (1, 90)]  # neither is a multiple of any padding
TINY = {
    "ultrabm": {"width": 4, "semantic": "vgg16"},
    "ultrabm/ultrais": {"width": 4, "scale": 4, "compat": "ultrais", "semantic": "none"},
    "ultrabm/bilinear": {"width": 4, "stream": "one", "semantic": "none", "upsampler": "bilinear", "remat": True},
    "drgn": {"width": 8, "groups": (1, 1, 1), "depths": (1, 1, 1), "reduction": 4},
    "drgn/box": {"width": 8, "groups": (1, 1), "depths": (1, 1), "reduction": 4, "pyramid": "box", "remat": True},
    "lw_drgn": {"width": 8, "groups": 1, "depth": 1, "reduction": 4},
    "lolisrflow": {"variant": "small", "width": 8, "hidden": 8, "steps": 2},
    "lolisrflow/split": {"variant": "small", "width": 8, "hidden": 8, "steps": 1, "split": True, "remat": "inverse"},
    "red": {"dense_layers": (2, 2)},
    "red/pack9": {"xtrans": "pack9", "dense_layers": (1,)},
    "zero_dce": {},
    "sci": {"stages": 3},
}


@pytest.fixture(scope="module", params=TINY)
def network(request, random_variables, flow_variables):
    """(task, variables, restore), where `restore` is one program for images on a canvas of `SHAPE`."""
    name = request.param.split("/")[0]
    task = create_task(name, **TINY[request.param])
    variables = (flow_variables if name == "lolisrflow" else random_variables)(task.model, task.example_input())
    variables = jax.tree_util.tree_map_with_path(_tamed, variables)
    variables = task.prepare({key: value for key, value in variables.items() if key != "statistics"})

    def restore(variables, inputs, size):
        with use_canvas(Canvas(size, SHAPE, task.padding)):
            return task.restore(variables, inputs)

    return task, variables, jax.jit(restore, compiler_options=quick_xla.OPTIONS)


def _tamed(path, leaf):
    """Variances are positive, and splits and couplings do not amplify rounding errors."""
    names = {key.key for key in path}
    if "batch_stats" in names:
        return np.abs(leaf)
    return 0.1 * leaf if "net" in names and names & {"level1_split", "level2_split", "conv3"} else leaf


@pytest.mark.parametrize("size", SIZES)
def test_every_network_gives_the_same_image_on_a_canvas(network, size):
    task, variables, restore = network
    inputs = {"low": np.random.default_rng(size).random((1, *size, task.channels), np.float32)}
    inputs["low"] = task.pad(inputs["low"])
    if task.noise_channels:
        inputs["noise"] = draw_noise(size, task.noise_channels, temperature=0.5)[None]
    h, w = inputs["low"].shape[1:3]
    alone = jax.jit(task.restore, compiler_options=quick_xla.OPTIONS)(variables, inputs)
    assert np.std(alone) > 1e-3

    def placed(x):  # the rest of the canvas must not matter
        return np.pad(x, ((0, 0), (0, SHAPE[0] - h), (0, SHAPE[1] - w), (0, 0)), constant_values=0.7)

    restored = restore(variables, {name: placed(x) for name, x in inputs.items()}, jnp.array([h, w]))
    np.testing.assert_allclose(restored[:, : h * task.scale, : w * task.scale], alone, rtol=0, atol=1e-5)
    assert restore._cache_size() == 1


def test_every_restoring_network_is_tested_above():
    own = {name for name, entry in MODELS.items() if entry.task and entry.module.__module__.startswith("ultrabm_jax.")}
    assert {name.split("/")[0] for name in TINY} == own  # other tests register models of their own


def test_hrnet_gives_the_same_features_on_a_canvas(random_variables, monkeypatch):
    monkeypatch.setattr(hrnet, "MODULES", {2: 1, 3: 1, 4: 1})  # compiles faster; every kind of layer is left
    monkeypatch.setattr(hrnet, "BLOCKS", 1)
    model, shape, size = hrnet.HRNet(width=2, num_classes=3), (96, 128), (48, 80)  # 1/32: 1.5 and 2.5, rounded up
    low = np.random.default_rng(0).random((1, *size, 3), np.float32)
    variables = random_variables(model, low)
    variables["batch_stats"] = jax.tree.map(np.abs, variables["batch_stats"])

    def on_canvas(variables, low, size):
        with use_canvas(Canvas(size, shape, 16)):
            return model.apply(variables, low)

    padded = np.pad(low, ((0, 0), (0, shape[0] - size[0]), (0, shape[1] - size[1]), (0, 0)), constant_values=0.7)
    given = jax.jit(on_canvas, compiler_options=quick_xla.OPTIONS)(variables, padded, jnp.array(size))
    expected = jax.jit(model.apply, compiler_options=quick_xla.OPTIONS)(variables, low)
    for a, b in zip(jax.tree.leaves(given), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a[:, : b.shape[1], : b.shape[2]], b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("length", range(1, 9))
def test_features_of_half_the_size_rounded_up_are_enlarged_as_on_a_canvas(length):
    x = jnp.arange((length + 1) // 2, dtype=jnp.float32)[None, :, None, None]
    canvas = jnp.pad(x, ((0, 0), (0, 8 - x.shape[1]), (0, 0), (0, 0)))
    np.testing.assert_array_equal(nearest(canvas, (16, 1))[:, :length], nearest(x, (length, 1)))


@pytest.mark.parametrize("length", range(1, 7))
def test_reflection_on_a_canvas_is_that_of_numpy(length):
    x = np.random.default_rng(0).random((1, length, 5, 2), np.float32)
    with use_canvas(Canvas(jnp.array([length, 5]), (8, 8), 1)):
        padded = pad_by_reflection(jnp.pad(x, ((0, 0), (0, 8 - length), (0, 3), (0, 0))), 9, 9, axis=1)
    expected = np.pad(x, ((0, 0), (9, 17 - length), (0, 0), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(padded[:, :, :5], expected)


def test_the_canvas_ends_with_its_block():
    with pytest.raises(RuntimeError), use_canvas(Canvas(jnp.array([1, 1]), (8, 8), 1)):
        raise RuntimeError
    assert current_canvas() is None
