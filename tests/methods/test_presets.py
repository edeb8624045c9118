"""Presets train: "paper" of each model and "exposure" of DRGN, three steps at tiny sizes, with their own losses."""

from __future__ import annotations

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick_xla

from ultrabm_jax.config import apply_preset
from ultrabm_jax.methods import create_method
from ultrabm_jax.models.ultrabm import unet

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
REFERENCE = RNG.uniform(size=(2, 32, 32, 3)).astype(np.float32)
LOW = (0.2 * REFERENCE).astype(np.float32)
RGB = {"low": LOW[:, ::2, ::2], "reference": REFERENCE}
# experiment, batch, overrides: a small network without the backbones, whose weights are files
CASES = {
    "ultrabm": (
        "ultrabm_rellisur_x2",
        RGB,
        {"model.semantic": "none", "loss.lambda_p": 0.0, "train.mixup_probability": 0.0},
        {"width": 4},
    ),
    "red": (
        "red_sid_sony",
        {"low": 0.01 * LOW[..., :1], "reference": REFERENCE, "ratio": np.array([20, 10], np.float32)},
        {"loss.lambda_ms": 0.0},  # needs 161 pixels
        {"dense_layers": (1, 1, 1)},
    ),
    "drgn": (
        "lw_drgn_lol",
        {"low": LOW[:, :16, :16], "reference": REFERENCE[:, :16, :16], "photo": REFERENCE[:, 16:, 16:]},
        {"discriminator.width": 4, "train.steps": 6, "discriminator.kind": "atmfn"},
        {"width": 4, "groups": 1, "depth": 1, "reduction": 2},
    ),
    "lolisrflow": (
        "lolisrflow_rellisur_x2",
        RGB,
        {"model.remat": "none"},
        {"width": 4, "hidden": 4, "steps": 1, "levels": 2, "stages": 1, "blocks": 1},
    ),
}


def preset_method(name, preset):
    experiment, batch, overrides, options = CASES[name]
    config = importlib.import_module(f"configs.{experiment}").get_config()
    apply_preset(config, preset)
    config.update_from_flattened_dict(overrides)
    config.model.update(options)
    return create_method(config), batch


def start(method, variables, batch):
    """The initial state with NumPy's random parameters: compiling `init` would take most of the time."""
    side = method.task.multiple
    shapes = jax.eval_shape(method.init, KEY, jnp.zeros((1, side, side, batch["low"].shape[-1])))
    params = variables(method.model, jnp.zeros((1, side, side, batch["low"].shape[-1])))["params"]
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    opt_state = zeros.opt_state
    if hasattr(opt_state, "discriminator_params"):
        critics = jax.tree.map(lambda x: RNG.normal(0, 0.1, x.shape).astype(x.dtype), opt_state.discriminator_params)
        opt_state = opt_state.__class__(
            opt_state.deg, opt_state.reg, opt_state.discriminators, critics, jnp.int32(method.switch)
        )
    return zeros.replace(params=params, opt_state=opt_state, frozen={})


@pytest.mark.parametrize(("name", "preset"), [*((name, "paper") for name in CASES), ("drgn", "exposure")])
def test_the_preset_trains(name, preset, flow_variables, monkeypatch):
    monkeypatch.setattr(unet, "LEVELS", 2)  # of UltraBM's U-Nets: five take minutes to compile on a busy machine
    method, batch = preset_method(name, preset)
    state = initial = start(method, flow_variables, batch)
    phases = method.phases(initial)
    if name == "lolisrflow":
        del phases[0]  # sets the normalisations: tests/methods/test_lolisrflow.py
    for first, phase in phases.items():
        step = jax.jit(phase, compiler_options=quick_xla.OPTIONS)
        for _ in range(3):
            state, metrics = step(state.replace(step=jnp.maximum(state.step, first)), batch, KEY)
            losses = {key: float(value) for key, value in metrics.items() if key.startswith("loss/")}
            assert losses
            assert np.isfinite(list(losses.values())).all(), losses
    pairs = zip(jax.tree.leaves(initial.params), jax.tree.leaves(state.params), strict=True)
    moved = [bool((a != b).any()) for a, b in pairs]
    assert sum(moved) > 0.9 * len(moved)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
