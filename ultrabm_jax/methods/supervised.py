"""UltraBM's training: one network, four losses, pairs of low and reference pictures.

    L = lambda_sl L_SL + lambda_is L_IS + lambda_r L_R + lambda_p L_P

Source: UltraBM equations 6 and 7 and the released UltraIS code; the weights are config.loss. A loss of weight zero is
not computed. With one stream (Table 4) there is no illumination, and L_SL and L_IS do not apply.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.perceptual import perceptual_loss
from ultrabm_jax.losses.pixel import l1
from ultrabm_jax.losses.retinex import hinged_luminance, illumination_smoothness, self_regularised_luminance
from ultrabm_jax.methods.mixup import mixup
from ultrabm_jax.models import create_model
from ultrabm_jax.training.optimizer import make_optimizer, make_schedule
from ultrabm_jax.training.state import TrainState
from ultrabm_jax.weights.pretrained import load_vgg16, load_vgg19

Batch = dict[str, jax.Array]
PERCEPTUAL = {"vgg16": load_vgg16, "vgg19": load_vgg19}


class Supervised:
    """The pure functions of one config; holds no state besides it."""

    def __init__(self, config: ConfigDict) -> None:
        if config.loss.perceptual not in PERCEPTUAL:
            raise UserError(f"unknown loss.perceptual {config.loss.perceptual!r}; known: {', '.join(PERCEPTUAL)}")
        self.config = config
        self.model = create_model(**model_options(config))
        self.optimizer = make_optimizer(config.train)
        self.schedule = make_schedule(config.train)

    def init(self, key: jax.Array, low: jax.Array) -> TrainState:
        """Fresh trained state, without the frozen part; pure, to be jitted so that it is born sharded."""
        # Random, because the extractor's variables are not part of the result: `frozen` loads them.
        params = self.model.clone(semantic_init="random").init(key, low)["params"]
        ema = params if self.config.train.ema_decay else None
        return TrainState(jnp.zeros((), jnp.int32), params, self.optimizer.init(params), ema, frozen=None)

    def frozen(self, key: jax.Array) -> dict[str, Any]:
        """Variables that are never trained: {"model": ..., "perceptual": ...}; reads weight files."""
        frozen = {}
        if self.model.has_semantic:
            frozen["model"] = {"semantic": self.model.semantic_variables(key)}
        if self.config.loss.lambda_p:
            frozen["perceptual"] = PERCEPTUAL[self.config.loss.perceptual](folder=self.config.data.assets or None)
        return frozen

    def train_step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, dict[str, jax.Array]]:
        """One optimiser step. `key` is the run's; the step's own randomness is fold_in(key, step)."""
        train = self.config.train
        key = jax.random.fold_in(key, state.step)
        batch = mixup(key, batch, probability=train.mixup_probability, alpha=train.mixup_alpha)
        loss = functools.partial(self._loss, frozen=state.frozen, batch=batch)
        (_, terms), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        updates, opt_state = self.optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = state.ema
        if ema is not None:
            ema = optax.incremental_update(params, ema, 1 - train.ema_decay)
        metrics = {f"loss/{name}": value for name, value in terms.items()}
        metrics |= {"grad_norm": optax.global_norm(grads), "learning_rate": self.schedule(state.step)}
        return state.replace(step=state.step + 1, params=params, opt_state=opt_state, ema=ema), metrics

    def restore(self, variables: dict[str, Any], low: jax.Array) -> jax.Array:
        """low (b, h, w, 3) -> restored (b, s h, s w, 3) in [0, 1]."""
        return jnp.clip(self.model.apply(variables, low)["restored"], 0, 1)

    def variables(self, state: TrainState) -> dict[str, Any]:
        """What `restore` and `model.apply` need."""
        frozen = {"frozen": state.frozen["model"]} if "model" in state.frozen else {}
        return {"params": state.eval_params(), **frozen}

    def _loss(self, params: Any, *, frozen: Any, batch: Batch) -> tuple[jax.Array, dict[str, jax.Array]]:
        variables = {"params": params} | ({"frozen": frozen["model"]} if "model" in frozen else {})
        out = self.model.apply(variables, batch["low"])
        weights = self.config.loss
        terms = {"sl": self._luminance(out), "is": self._smoothness(out, batch["low"])} if "illumination" in out else {}
        terms["r"] = l1(out["restored"], batch["reference"])
        if weights.lambda_p:
            terms["p"] = perceptual_loss(
                frozen["perceptual"],
                out["restored"],
                batch["reference"],
                network=weights.perceptual,
                dtype=self.model.dtype,
            )
        terms = {name: jnp.mean(value) for name, value in terms.items() if weights[f"lambda_{name}"]}
        total = sum((weights[f"lambda_{name}"] * value for name, value in terms.items()), start=jnp.zeros(()))
        return total, {"total": total} | terms

    def _luminance(self, out: dict[str, jax.Array]) -> jax.Array:
        if self.config.model.compat == "ultrais":
            return hinged_luminance(out["illumination"])
        return self_regularised_luminance(out["reflection_unclipped"])

    def _smoothness(self, out: dict[str, jax.Array], low: jax.Array) -> jax.Array:
        return illumination_smoothness(out["illumination"], low, gray_mode=self.model.gray_mode)


def model_options(config: ConfigDict) -> dict[str, Any]:
    """config.model -> arguments of `create_model`."""
    options = dict(config.model.items())
    return options | {"dtype": jnp.dtype(options["dtype"]), "assets": config.data.assets or None}
