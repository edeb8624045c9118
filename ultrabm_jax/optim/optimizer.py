"""The optimiser of a config: gradient clipping by global norm, then Adam or AdamW on a schedule.

adam     no weight decay
adam_l2  Adam of gradient + weight_decay * parameter, as torch.optim.Adam (UltraBM's paper)
adamw    decoupled weight decay, as torch.optim.AdamW (UltraIS's released code)
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.optim.schedules import cosine_cycles
from ultrabm_jax.typing import PyTree

OPTIMIZERS = ("adam", "adam_l2", "adamw")


def make_schedule(train: ConfigDict) -> optax.Schedule:
    """config.train -> learning-rate schedule: cosine cycles, with a linear warm-up over the first `warmup` steps.

    Raises UserError for rates and lengths that have no meaning.
    """
    _check_schedule(train)
    cycles = cosine_cycles(train.cycles, steps=train.steps, learning_rate=train.learning_rate)
    if not train.warmup:
        return cycles
    return lambda step: cycles(step) * jnp.minimum(1.0, (step + 1) / train.warmup)


def _check_schedule(train: ConfigDict) -> None:
    if not 0 < train.learning_rate < math.inf:
        raise UserError(f"train.learning_rate={train.learning_rate}: must be above 0")
    if train.warmup < 0:
        raise UserError(f"train.warmup={train.warmup}: must not be below 0")
    if not train.cycles:
        raise UserError("train.cycles is empty; ((1, RATE),) is one cycle that ends at RATE")
    for share, *rates in train.cycles:
        if share <= 0 or min(rates) < 0 or (len(rates) == 2 and rates[0] == 0):
            raise UserError(
                f"train.cycles: {(share, *rates)} is not (share above 0, final rate) or (share, first rate above 0, "
                "final rate)"
            )


def make_optimizer(train: ConfigDict) -> optax.GradientTransformation:
    """config.train -> optimiser. Raises UserError for an unknown one."""
    _check(train.optimizer)
    b1, b2 = train.betas
    schedule = make_schedule(train)
    if train.optimizer == "adamw":
        update = optax.adamw(schedule, b1=b1, b2=b2, weight_decay=train.weight_decay)
    else:
        update = optax.adam(schedule, b1=b1, b2=b2)
    if train.optimizer == "adam_l2":
        update = optax.chain(optax.add_decayed_weights(train.weight_decay), update)
    return optax.chain(optax.clip_by_global_norm(train.grad_clip), update) if train.grad_clip else update


def make_gradient_transform(train: ConfigDict) -> optax.GradientTransformation:
    """`make_optimizer` without its learning rate, for methods that compute the rate from the step themselves.

    An optimiser's own counter counts its updates, which differs from the step where networks are trained alternately.
    """
    _check(train.optimizer)
    b1, b2 = train.betas
    transforms = [optax.clip_by_global_norm(train.grad_clip)] if train.grad_clip else []
    if train.optimizer == "adam_l2":
        transforms.append(optax.add_decayed_weights(train.weight_decay))
    transforms.append(optax.scale_by_adam(b1, b2))
    if train.optimizer == "adamw":
        transforms.append(optax.add_decayed_weights(train.weight_decay))
    return optax.chain(*transforms)


def apply_update(
    transform: optax.GradientTransformation,
    grads: PyTree,
    opt_state: optax.OptState,
    params: PyTree,
    *,
    rate: jax.Array,
) -> tuple[PyTree, optax.OptState]:
    """(parameters, optimiser state) after one update with learning rate `rate`."""
    updates, opt_state = transform.update(grads, opt_state, params)
    return optax.apply_updates(params, jax.tree.map(lambda update: -rate * update, updates)), opt_state


def _check(optimizer: str) -> None:
    if optimizer not in OPTIMIZERS:
        raise UserError(f"unknown train.optimizer {optimizer!r}; known: {', '.join(OPTIMIZERS)}")
