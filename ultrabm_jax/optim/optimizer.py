"""The optimiser of a config: gradient clipping by global norm, then Adam or AdamW on a schedule."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.optim.schedules import cosine_cycles


def make_schedule(train: ConfigDict) -> optax.Schedule:
    """config.train -> learning rate by step: cosine cycles, scaled up linearly over the first `warmup` steps."""
    cycles = cosine_cycles(train.cycles, steps=train.steps, learning_rate=train.learning_rate)
    if not train.warmup:
        return cycles
    return lambda step: cycles(step) * jnp.minimum(1.0, (step + 1) / train.warmup)


def make_optimizer(train: ConfigDict) -> optax.GradientTransformation:
    """config.train -> optimiser. "adamw" decays weights decoupled, as torch.optim.AdamW; "adam" does not decay."""
    b1, b2 = train.betas
    schedule = make_schedule(train)
    if train.optimizer == "adamw":
        update = optax.adamw(schedule, b1=b1, b2=b2, weight_decay=train.weight_decay)
    elif train.optimizer == "adam":
        update = optax.adam(schedule, b1=b1, b2=b2)
    else:
        raise UserError(f"unknown train.optimizer {train.optimizer!r}; known: adam, adamw")
    return optax.chain(optax.clip_by_global_norm(train.grad_clip), update) if train.grad_clip else update


def make_gradient_transform(train: ConfigDict) -> optax.GradientTransformation:
    """As `make_optimizer` before its learning rate, for a method that knows the rate of a step by itself.

    The count in an optimiser's own state is that of its updates: with several networks trained in turns it is not the
    number of the step.
    """
    if train.optimizer not in ("adam", "adamw"):
        raise UserError(f"unknown train.optimizer {train.optimizer!r}; known: adam, adamw")
    b1, b2 = train.betas
    parts = [optax.clip_by_global_norm(train.grad_clip)] if train.grad_clip else []
    parts.append(optax.scale_by_adam(b1, b2))
    if train.optimizer == "adamw":
        parts.append(optax.add_decayed_weights(train.weight_decay))
    return optax.chain(*parts)


def apply_update(
    direction: optax.GradientTransformation, grads: Any, opt_state: optax.OptState, params: Any, *, rate: jax.Array
) -> tuple[Any, optax.OptState]:
    """(parameters, optimiser state) after one step of `rate` along `direction`."""
    updates, opt_state = direction.update(grads, opt_state, params)
    return optax.apply_updates(params, jax.tree.map(lambda update: -rate * update, updates)), opt_state
