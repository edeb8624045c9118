"""Tiny DRGN methods, states and compiled steps that the tests of DRGN share.

Tiny networks, and a critic of two layers in the discriminators' place: compiling is most of what a test takes.
"""

from __future__ import annotations

import functools
import importlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import quick_xla

from ultrabm_jax.methods import create_method
from ultrabm_jax.methods.drgn import AdversarialState
from ultrabm_jax.optim.state import TrainState

RNG = np.random.default_rng(0)
LOW = RNG.uniform(0, 0.2, (2, 16, 16, 3)).astype(np.float32)
REFERENCE = RNG.uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
PHOTO = RNG.uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
BATCH = {"low": LOW, "reference": REFERENCE, "photo": PHOTO}
TINY = {"model.width": 4, "model.groups": 1, "model.depth": 1, "model.reduction": 2, "train.ema_decay": 0.9}
STAGE_1, STAGE_2 = 0, 30_000  # a step of each phase
# Compiling well would take longer than all that is computed here.
if jax.__version_info__ < (0, 11):  # has no such option any more
    quick_xla.OPTIONS["xla_cpu_use_fusion_emitters"] = False


def config(name="lw_drgn_lol", **overrides):
    config = importlib.import_module(f"configs.{name}").get_config()
    if overrides:
        config.model.update({"width": 0, "groups": 0, "depth": 0, "reduction": 0})  # else set by the variant
    config.update_from_flattened_dict(overrides)
    return config


class Critic(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.leaky_relu(nn.Conv(4, (3, 3))(x), 0.2)
        return nn.Dense(1)(x.mean(axis=(1, 2)))[:, 0]


@functools.cache
def method(**overrides):
    one = create_method(config(**(TINY | overrides)))
    one.discriminator = Critic()
    return one


@functools.cache
def start(step, **overrides):
    """A state with NumPy's random parameters; compiling `init` would take most of a test's time."""
    one = method(**overrides)
    shapes = jax.eval_shape(one.init, jax.random.key(0), LOW[:1])
    rng = np.random.default_rng(0)

    def draw(tree):
        return jax.tree.map(lambda x: jnp.array(rng.normal(0, 0.3, x.shape), x.dtype), tree)

    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes.opt_state)
    game = AdversarialState(
        zeros.deg, zeros.reg, zeros.discriminators, draw(zeros.discriminator_params), jnp.int32(one.switch)
    )
    params = draw(shapes.params)
    ema = None if shapes.ema is None else params
    return TrainState(jnp.int32(step), params, game, ema, frozen={})


@functools.cache
def compiled(**overrides):
    """{first step: jitted step} of each phase"""
    one = method(**overrides)
    return {
        first: jax.jit(step, compiler_options=quick_xla.OPTIONS)
        for first, step in one.phases(start(0, **overrides)).items()
    }


@functools.cache
def one_step(step, **overrides):
    """(state before, state after, metrics)"""
    before = start(step, **overrides)
    steps = compiled(**overrides)
    after, metrics = steps[max(first for first in steps if first <= step)](before, BATCH, jax.random.key(0))
    return before, after, {name: float(value) for name, value in metrics.items()}


@functools.cache
def quick(function):
    return jax.jit(function, compiler_options=quick_xla.OPTIONS)


@functools.cache
def outputs_of(step):
    """DeG's outputs for the batch in the state at `step`."""
    return quick(method().synthesise)(start(step).params["deg"], BATCH)


def networks(state):
    return {**state.params, **{f"d_{name}": tree for name, tree in state.opt_state.discriminator_params.items()}}
