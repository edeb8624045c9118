"""DRGN's training: degradation learning, then refinement (section 2, equations 3 to 9).

    I_D = DeG(I_L);  I_L,ref = clip(I_D + I_ref);  I_D,ref = DeG(I_L,ref)       I_ref: an image of another scene
    I* = ReG(I_L - I_D);  I*_ref = ReG(I_L,ref - I_D,ref)

Stage 1 trains DeG against two discriminators, D_low (I_L or I_L,ref?) and D_de (I_D or I_D,ref?): first these take one
step, then DeG one against them, each with an optimiser of its own.
    L_D = L_adv,low + L_adv,de                                                  equations 5 and 6
    L_DeG = alpha (generator's side of both) + L_KL(I_D, I_D,ref)               equation 7
Stage 2 freezes DeG and trains ReG on real and synthetic pairs, made on the fly.
    L_ReG = charbonnier + lambda SSIM, of the real pair and of the other one, lambda = -0.2         equation 9

The step at which stage 2 begins is part of the state: a run that goes on with another number of steps keeps its
switch. The learning rate follows the number of the step through both stages.

Read into the paper, each with alternatives in the config (configs/drgn_lol.py):
- Equation 7 adds the discriminators' own objective to DeG's loss as it stands, which would help them: DeG gets the
  opposite side (`loss.gan`), and I_D counts as given where it is the real one.
- I_D + I_ref leaves [0, 1]; it is cut back, and a gradient passes only where it leads no further out
  (`synthesis.clip`): passed straight through, nothing holds I_D, and it ran to -300 on LOL. I_B is not cut.
- psi of equation 3 is never a function of its own: ReG is its inverse.
- What p is in L_KL: losses/divergence.py. Discriminators: models/drgn/discriminators.py. How the game can be lost:
  methods/drgn_diagnostics.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.adversarial import GAN_LOSSES, accuracy, discriminator_loss, generator_loss
from ultrabm_jax.losses.divergence import DIVERGENCES, divergence
from ultrabm_jax.losses.pixel import charbonnier
from ultrabm_jax.methods.base import Batch, Method, Metrics, Terms, TrainStep, moving_average, weighted_sum
from ultrabm_jax.methods.drgn_diagnostics import collapse, health
from ultrabm_jax.metrics.ssim import ssim
from ultrabm_jax.models import create_model
from ultrabm_jax.models.drgn.discriminators import make_discriminator
from ultrabm_jax.optim.microbatches import map_microbatches, value_and_grad
from ultrabm_jax.optim.optimizer import apply_update, make_gradient_transform
from ultrabm_jax.optim.state import TrainState

CLIPS = ("inward", "straight", "hard", "none")
WARM_UP = 4  # no warnings in the first 1 / WARM_UP of stage 1


class Made(NamedTuple):
    """What DeG makes of a batch, (b, h, w, 3) each: I_D, I_L,ref, I_D,ref."""

    degradation: jax.Array
    low_ref: jax.Array
    degradation_ref: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Game:
    """`TrainState.opt_state`: all that training carries beside the generators."""

    deg: Any  # optimiser states
    reg: Any
    discriminators: Any
    discriminator_params: Any  # {"low": ..., "de": ...}
    switch: jax.Array  # () int32: the step at which stage 2 begins


class DRGNMethod(Method):
    """DRGN on batches {"low", "reference"} (b, h, w, 3) in [0, 1], and "photo", if images of other scenes are given.

    Without them I_ref is the reference of the batch's next example.
    """

    def __init__(self, config: ConfigDict) -> None:
        for section, name, known in (
            ("loss", "gan", GAN_LOSSES),
            ("loss", "kl", DIVERGENCES),
            ("synthesis", "clip", CLIPS),
        ):
            if config[section][name] not in known:
                raise UserError(f"unknown {section}.{name} {config[section][name]!r}; known: {', '.join(known)}")
        super().__init__(config, create_model(**model_options(config)))
        self.direction = make_gradient_transform(config.train)
        self.parts = config.train.accumulate  # of a batch, one after the other
        self.discriminator = make_discriminator(**config.discriminator, dtype=self.model.dtype)
        self.switch = round(config.train.deg_share * config.train.steps) if self.model.dl_da else 0

    def init(self, key: jax.Array, low: jax.Array) -> TrainState:
        model_key, low_key, de_key = jax.random.split(key, 3)
        params = self.initial_params(model_key, low)
        critics = {}
        if self.model.dl_da:
            critics = {
                name: self.discriminator.init(k, low)["params"] for name, k in (("low", low_key), ("de", de_key))
            }
        game = Game(
            deg=self.direction.init(params["deg"]) if "deg" in params else None,
            reg=self.direction.init(params["reg"]),
            discriminators=self.direction.init(critics),
            discriminator_params=critics,
            switch=jnp.asarray(self.switch, jnp.int32),
        )
        ema = params if self.config.train.ema_decay else None
        return TrainState(jnp.zeros((), jnp.int32), params, game, ema, frozen=None)

    def phases(self, state: TrainState) -> dict[int, TrainStep]:
        if not self.model.dl_da:
            return {0: self.refine_step}
        return {0: self.degrade_step, int(state.opt_state.switch): self.refine_step}

    def restore(self, variables: dict[str, Any], low: jax.Array) -> jax.Array:
        return jnp.clip(self.model.apply(variables, low)["restored"], 0, 1)

    def warnings(self, step: int, scalars: Mapping[str, float]) -> dict[str, str]:
        return collapse(scalars) if step > self.switch // WARM_UP else {}

    def complete(self, batch: Batch) -> Batch:
        """The batch with "photo", I_ref."""
        if "photo" in batch or not self.model.dl_da:
            return batch
        if batch["reference"].shape[0] < 2:
            raise UserError("DRGN needs images of other scenes: set data.photos, or data.batch_size to 2 or more")
        return batch | {"photo": jnp.roll(batch["reference"], 1, axis=0)}

    def make(self, deg: Any, low: jax.Array, photo: jax.Array) -> Made:
        """I_D, I_L,ref, I_D,ref of DeG's parameters."""
        degradation = self._degrade(deg, low)
        low_ref = self._clip(degradation + photo)
        return Made(degradation, low_ref, self._degrade(deg, low_ref))

    def degrade_step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        """Stage 1: a step of both discriminators, then one of DeG."""
        batch, rate, game, params = self._prepare(state, batch, key)
        made, blame = self._make_and_blame(params["deg"], batch)
        judge = value_and_grad(lambda critics, part: self.discriminators_loss(critics, *part), parts=self.parts)
        (_, judged), grads = judge(game.discriminator_params, (made, batch["low"]))
        critics, critics_state = apply_update(
            self.direction, grads, game.discriminators, game.discriminator_params, rate=rate
        )
        (_, terms), grads = blame(critics)
        deg, deg_state = apply_update(self.direction, grads, game.deg, params["deg"], rate=rate)
        game = dataclasses.replace(game, deg=deg_state, discriminators=critics_state, discriminator_params=critics)
        metrics = judged | health(batch["low"], made.low_ref, made.degradation, made.degradation_ref)
        return self._next(state, params | {"deg": deg}, game), metrics | _logged(terms, grads, rate)

    def refine_step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        """Stage 2: a step of ReG."""
        batch, rate, game, params = self._prepare(state, batch, key)
        refine = value_and_grad(lambda reg, part: self.refinement_loss(reg, params.get("deg"), part), parts=self.parts)
        (_, terms), grads = refine(params["reg"], batch)
        reg, reg_state = apply_update(self.direction, grads, game.reg, params["reg"], rate=rate)
        after = self._next(state, params | {"reg": reg}, dataclasses.replace(game, reg=reg_state))
        return after, _logged(terms, grads, rate)

    def discriminators_loss(self, critics: Any, made: Made, low: jax.Array) -> tuple[jax.Array, Metrics]:
        """Equations 5 and 6, L_adv,low + L_adv,de, and what to log of them. What DeG made is given."""
        made, gan = jax.lax.stop_gradient(made), self.config.loss.gan
        pairs = {"low": (low, made.low_ref), "de": (made.degradation, made.degradation_ref)}
        total, metrics = jnp.zeros(()), {}
        for name, (real, fake) in pairs.items():
            logits = self._judge(critics[name], _interleave(real, fake)).reshape(-1, 2)
            loss = discriminator_loss(logits[:, 0], logits[:, 1], gan=gan).mean()
            metrics[f"loss/d_{name}"] = loss
            metrics[f"health/d_{name}_accuracy"] = accuracy(logits[:, 0], logits[:, 1], gan=gan)
            total += loss
        return total, metrics

    def degradation_loss(self, made: Made, critics: Any) -> tuple[jax.Array, Terms]:
        """Equation 7, a function of what DeG made: (L_DeG, its terms)."""
        settings = self.config.loss
        kl = divergence(settings.kl, made.degradation, made.degradation_ref, temperature=settings.kl_temperature)
        terms = {
            "adv_low": generator_loss(self._judge(critics["low"], made.low_ref), gan=settings.gan),
            "adv_de": generator_loss(self._judge(critics["de"], made.degradation_ref), gan=settings.gan),
            "kl": kl,
        }
        return weighted_sum({name: jnp.mean(value) for name, value in terms.items()}, settings)

    def refinement_loss(self, reg: Any, deg: Any, batch: Batch) -> tuple[jax.Array, Terms]:
        """Equation 9: (L_ReG, its terms); "_ref" are those of the synthetic pairs. DeG is given."""
        base, target = batch["low"], batch["reference"]
        if self.model.dl_da:
            made = jax.lax.stop_gradient(self.make(deg, batch["low"], batch["photo"]))
            base = _interleave(batch["low"] - made.degradation, made.low_ref - made.degradation_ref)
            target = _interleave(target, batch["photo"])
        restored = self.model.apply({"params": {"reg": reg}}, base, method="refine")
        losses = {
            "con": charbonnier(restored, target, epsilon=self.config.loss.epsilon),
            "ssim": ssim(restored, target),
        }
        terms = {}
        for name, values in losses.items():
            if self.model.dl_da:
                terms[name], terms[f"{name}_ref"] = values.reshape(-1, 2).mean(axis=0)
            else:
                terms[name] = values.mean()
        return weighted_sum(terms, self.config.loss)

    def _prepare(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[Batch, jax.Array, Game, Any]:
        """(batch, learning rate, game, parameters) of a step."""
        batch = self.complete(self.augment(jax.random.fold_in(key, state.step), batch))
        return batch, self.schedule(state.step), state.opt_state, state.params

    def _next(self, state: TrainState, params: Any, game: Game) -> TrainState:
        ema = moving_average(state.ema, params, step=state.step, decay=self.config.train.ema_decay)
        return state.replace(step=state.step + 1, params=params, opt_state=game, ema=ema)

    def _make_and_blame(self, deg: Any, batch: Batch) -> tuple[Made, Callable[[Any], tuple[tuple[Any, Terms], Any]]]:
        """(what DeG makes of the batch, critics -> ((L_DeG, its terms), its gradient)). In parts DeG makes it twice."""

        def made_of(deg: Any, part: Batch) -> Made:
            return self.make(deg, part["low"], part["photo"])

        if self.parts > 1:
            made = map_microbatches(lambda part: made_of(deg, part), batch, parts=self.parts)
            return made, lambda critics: value_and_grad(
                lambda deg, part: self.degradation_loss(made_of(deg, part), critics), parts=self.parts
            )(deg, batch)
        made, pull_back = jax.vjp(lambda deg: made_of(deg, batch), deg)

        def blame(critics: Any) -> tuple[tuple[Any, Terms], Any]:
            result, towards = jax.value_and_grad(self.degradation_loss, has_aux=True)(made, critics)
            return result, pull_back(towards)[0]

        return made, blame

    def _degrade(self, deg: Any, low: jax.Array) -> jax.Array:
        return self.model.apply({"params": {"deg": deg}}, low, method="degrade")

    def _judge(self, critic: Any, image: jax.Array) -> jax.Array:
        return self.discriminator.apply({"params": critic}, image)

    def _clip(self, x: jax.Array) -> jax.Array:
        kind = self.config.synthesis.clip
        if kind == "none":
            return x
        if kind == "inward":
            return clip_inward(x)
        clipped = jnp.clip(x, 0, 1)
        return clipped if kind == "hard" else x + jax.lax.stop_gradient(clipped - x)


@jax.custom_vjp
def clip_inward(x: jax.Array) -> jax.Array:
    """clip(x, 0, 1) whose gradient is zero only where a step down it would lead further out."""
    return jnp.clip(x, 0, 1)


def _clip_forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return clip_inward(x), x


def _clip_backward(x: jax.Array, slope: jax.Array) -> tuple[jax.Array]:
    outward = ((x < 0) & (slope > 0)) | ((x > 1) & (slope < 0))
    return (jnp.where(outward, 0, slope),)


clip_inward.defvjp(_clip_forward, _clip_backward)


def model_options(config: ConfigDict) -> dict[str, Any]:
    """config.model -> arguments of `create_model`."""
    options = dict(config.model.items())
    return options | {"dtype": jnp.dtype(options["dtype"])}


def _logged(terms: Terms, grads: Any, rate: jax.Array) -> Metrics:
    metrics = {f"loss/{name}": value for name, value in terms.items()}
    return metrics | {"grad_norm": optax.global_norm(grads), "learning_rate": rate}


def _interleave(a: jax.Array, b: jax.Array) -> jax.Array:
    """Two batches as one, their examples in turns, so that a device keeps its own."""
    return jnp.stack([a, b], axis=1).reshape(-1, *a.shape[1:])
