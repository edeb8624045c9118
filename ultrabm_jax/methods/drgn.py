"""DRGN's training: degradation learning, then refinement (section 2, equations 3 to 9).

    I_D = DeG(I_L);  I_L,ref = clip(I_D + I_ref);  I_D,ref = DeG(I_L,ref)       I_ref: an image of another scene
    I* = ReG(I_L - I_D);  I*_ref = ReG(I_L,ref - I_D,ref)                       or exp(I_D) I_ref, exp(-I_D) I_L

Phase 1 trains DeG against two discriminators, D_low (I_L or I_L,ref?) and D_de (I_D or I_D,ref?): each step updates the
discriminators, then DeG against them, each with its own optimiser.
    L_D = L_adv,low + L_adv,de                                                  equations 5 and 6
    L_DeG = alpha (generator's side of both) + L_KL(I_D, I_D,ref)               equation 7
        (+ lambda_pair L1(I_L, clip(I_D + I)), ours: I is the reference of I_L; off by default)
Phase 2 freezes DeG and trains ReG on real and synthetic pairs, which are made inside the step.
    L_ReG = charbonnier + lambda SSIM, of the real and of the synthetic pair, lambda = -0.2         equation 9
        (+ lambda_p L_P, ours: VGG features as in UltraBM's loss; off by default)

The step at which phase 2 begins is part of the state: a run that is resumed with another number of steps keeps it. The
learning rate is a function of the step in both phases.

Interpretations of the paper, each with alternatives in the config (ultrabm_jax/config/drgn.py):
- Equation 7 adds the discriminators' own objective to DeG's loss, which would help them: DeG gets the opposite side
  (`loss.gan`), and I_D is a constant where it is the real example.
- I_D + I_ref leaves [0, 1]. It is clipped, and a gradient passes only where it does not point further out
  (`synthesis.clip`): with a straight-through gradient nothing bounds I_D, which reached -300 on LOL. I_B is not
  clipped.
- With `model.remove_degradation=False`, ours, I* = ReG(I_L) and I*_ref = ReG(I_L,ref): DeG only makes synthetic pairs.
- Also ours: noise in I_L,ref before the clipping (`synthesis.noise`), rounding to 8 bits (`synthesis.bits`),
  gamma-encoded input of D_low (`loss.adv_low_gamma`), faster discriminators (`train.discriminator_rate`), and a term
  that compares I_L with its own darkened reference (`loss.lambda_pair`). The paper trains DeG without I.
- psi of equation 3 is not a separate function: ReG is its inverse.
- The distribution p in L_KL: losses/divergence.py. Discriminators: models/drgn/discriminators.py. How adversarial
  training can collapse: drgn_diagnostics.py. Synthetic low images: drgn_synthesis.py. Terms of L_ReG:
  drgn_refinement.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.adversarial import GAN_LOSSES, accuracy, discriminator_loss, generator_loss
from ultrabm_jax.losses.divergence import DIVERGENCES, divergence
from ultrabm_jax.losses.pixel import l1
from ultrabm_jax.methods.base import Method, Terms, TrainStep, moving_average, step_metrics, weighted_sum
from ultrabm_jax.methods.drgn_diagnostics import collapse, health
from ultrabm_jax.methods.drgn_refinement import interleave, refinement_terms
from ultrabm_jax.methods.drgn_synthesis import check_synthesis, clip, draw_noise, quantise
from ultrabm_jax.methods.perceptual import PerceptualTerm
from ultrabm_jax.metrics.ssim import WINDOW as SSIM_MIN_SIDE
from ultrabm_jax.models.drgn.discriminators import make_discriminator
from ultrabm_jax.optim.microbatches import map_microbatches, value_and_grad
from ultrabm_jax.optim.optimizer import apply_update, make_gradient_transform
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.typing import Batch, Metrics, Params, PyTree

WARM_UP = 4  # no warnings in the first 1 / WARM_UP of phase 1

# critics -> ((L_DeG, its terms), its gradient with respect to the parameters of DeG)
DegGradient: TypeAlias = Callable[[Params], tuple[tuple[jax.Array, Terms], Params]]


class DegOutputs(NamedTuple):
    """Outputs of DeG for a batch, (b, h, w, 3) each: I_D, I_L,ref, I_D,ref."""

    degradation: jax.Array
    low_ref: jax.Array
    degradation_ref: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AdversarialState:
    """`TrainState.opt_state`: the optimiser states, and the discriminators."""

    deg: optax.OptState | None
    reg: optax.OptState
    discriminators: optax.OptState
    discriminator_params: Params  # {"low": ..., "de": ...}
    switch: jax.Array  # () int32: the step at which phase 2 begins


class DRGNMethod(Method):
    """DRGN on batches {"low", "reference"} (b, h, w, 3) in [0, 1], and optionally "photo", images of other scenes.

    Without "photo", I_ref is the reference of the next example in the batch. With `model.input_maps`, "equalised"
    (b, h, w, 3), from config.data.extra_inputs, is cut from the equalised whole image; synthetic dark patches, and all
    patches without it, are equalised themselves.
    """

    similarities = ("ssim", "ssim_ref")

    def __init__(self, config: ConfigDict) -> None:
        for name, known in (("gan", GAN_LOSSES), ("kl", DIVERGENCES)):
            if config.loss[name] not in known:
                raise UserError(f"unknown loss.{name} {config.loss[name]!r}; known: {', '.join(known)}")
        check_synthesis(config.synthesis)
        if not 0 < config.loss.adv_low_gamma <= 1:
            raise UserError(f"loss.adv_low_gamma={config.loss.adv_low_gamma} must be above 0 and at most 1")
        super().__init__(config)
        self.gradient_transform = make_gradient_transform(config.train)
        self.microbatches = config.train.accumulate  # of a batch, one after the other
        self.discriminator = make_discriminator(**config.discriminator, dtype=self.model.dtype)
        self.perceptual = PerceptualTerm(config, weights=("lambda_p", "lambda_p_ref"))
        self.switch = round(config.train.deg_share * config.train.steps) if self.model.dl_da else 0

    def init(self, key: jax.Array, low: jax.Array) -> TrainState:
        model_key, low_key, de_key = jax.random.split(key, 3)
        params = self.task.init_params(model_key)
        critics = {}
        if self.model.dl_da:
            critics = {
                name: self.discriminator.init(k, low)["params"] for name, k in (("low", low_key), ("de", de_key))
            }
        adversarial = AdversarialState(
            deg=self.gradient_transform.init(params["deg"]) if "deg" in params else None,
            reg=self.gradient_transform.init(params["reg"]),
            discriminators=self.gradient_transform.init(critics),
            discriminator_params=critics,
            switch=jnp.asarray(self.switch, jnp.int32),
        )
        ema = params if self.config.train.ema_decay else None
        return TrainState(jnp.zeros((), jnp.int32), params, adversarial, ema, frozen=None)

    def frozen(self, key: jax.Array) -> dict[str, PyTree]:
        """The network of the perceptual loss, if it is used. Raises MissingAsset for a missing file."""
        return self.perceptual.frozen()

    def frozen_shapes(self) -> dict[str, PyTree]:
        return self.perceptual.frozen_shapes(self.task.example_input()[..., :3])

    def phases(self, state: TrainState) -> dict[int, TrainStep]:
        """`degrade_step`, then `refine_step` from the state's switch on; without `dl_da` only the latter."""
        if not self.model.dl_da:
            return {0: self.refine_step}
        return {0: self.degrade_step, int(state.opt_state.switch): self.refine_step}

    def min_sides(self) -> dict[str, int]:
        weights = {name: self.config.loss[name] for name in ("lambda_ssim", "lambda_ssim_ref")}
        return {f"loss.{name}": SSIM_MIN_SIDE for name, weight in weights.items() if weight}

    def min_batch_size(self) -> int:
        """Two without data.photos: I_ref is then the reference of the next example."""
        return 2 if self.model.dl_da and not self.config.data.photos else 1

    def warnings(self, step: int, scalars: Mapping[str, float]) -> dict[str, str]:
        """Collapse diagnostics, after the first 1 / WARM_UP of phase 1."""
        found = collapse(scalars) if step > self.switch // WARM_UP else {}
        if self.model.degradation == "exposure":
            found.pop("flat", None)  # it is meant to be constant over an image
        return found

    def augment(self, key: jax.Array, batch: Batch) -> Batch:
        """Adds "noise", that of the synthetic low images, if there is any (`synthesis.noise`)."""
        lowest, highest = self.config.synthesis.noise
        if not (highest and self.model.dl_da):
            return batch
        return batch | {"noise": draw_noise(key, batch["low"].shape, deviations=(lowest, highest))}

    def complete(self, batch: Batch) -> Batch:
        """Adds "photo", I_ref, if it is missing. Raises UserError for a batch of one example without it."""
        if "photo" in batch or not self.model.dl_da:
            return batch
        if batch["reference"].shape[0] < 2:
            raise UserError("DRGN needs images of other scenes: set data.photos, or data.batch_size to 2 or more")
        return batch | {"photo": jnp.roll(batch["reference"], 1, axis=0)}

    def synthesise(self, deg: Params, batch: Batch) -> DegOutputs:
        """Computes I_D, I_L,ref and I_D,ref with DeG's parameters from "low", "photo" and, if present, "noise"."""
        degradation = self._degrade(deg, batch["low"])
        low_ref = self.model.form.apply(batch["photo"], degradation) + batch.get("noise", 0.0)
        low_ref = quantise(clip(low_ref, kind=self.config.synthesis.clip), bits=self.config.synthesis.bits)
        return DegOutputs(degradation, low_ref, self._degrade(deg, low_ref))

    def degrade_step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        """Phase 1: a step of both discriminators, then one of DeG."""
        batch, rate, adversarial, params = self._prepare(state, batch, key)
        outputs, deg_gradient = self._degrade_with_gradient(params["deg"], batch)
        discriminators_grad = value_and_grad(
            lambda critics, part: self.discriminators_loss(critics, *part), microbatches=self.microbatches
        )
        (_, discriminator_metrics), grads = discriminators_grad(
            adversarial.discriminator_params, (outputs, batch["low"])
        )
        critics, critics_state = apply_update(
            self.gradient_transform,
            grads,
            adversarial.discriminators,
            adversarial.discriminator_params,
            rate=self.config.train.discriminator_rate * rate,
        )
        (_, terms), grads = deg_gradient(critics)
        deg, deg_state = apply_update(self.gradient_transform, grads, adversarial.deg, params["deg"], rate=rate)
        adversarial = dataclasses.replace(
            adversarial, deg=deg_state, discriminators=critics_state, discriminator_params=critics
        )
        metrics = discriminator_metrics | health(
            batch["low"], outputs.low_ref, outputs.degradation, outputs.degradation_ref
        )
        return self._next(state, {**params, "deg": deg}, adversarial), metrics | step_metrics(terms, grads, rate=rate)

    def refine_step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        """Phase 2: a step of ReG."""
        batch, rate, adversarial, params = self._prepare(state, batch, key)
        refine = value_and_grad(self.refinement_loss, microbatches=self.microbatches)
        (_, terms), grads = refine(params["reg"], batch, deg=params.get("deg"), frozen=state.frozen)
        reg, reg_state = apply_update(self.gradient_transform, grads, adversarial.reg, params["reg"], rate=rate)
        after = self._next(state, {**params, "reg": reg}, dataclasses.replace(adversarial, reg=reg_state))
        return after, step_metrics(terms, grads, rate=rate)

    def discriminators_loss(self, critics: Params, outputs: DegOutputs, low: jax.Array) -> tuple[jax.Array, Metrics]:
        """(L_adv,low + L_adv,de of equations 5 and 6, scalars to log). The outputs of DeG are constants here."""
        outputs, gan = jax.lax.stop_gradient(outputs), self.config.loss.gan
        pairs = {
            "low": (self._gamma_encoded(low), self._gamma_encoded(outputs.low_ref)),
            "de": (outputs.degradation, outputs.degradation_ref),
        }
        total, metrics = jnp.zeros(()), {}
        for name, (real, fake) in pairs.items():
            logits = self._discriminate(critics[name], interleave(real, fake)).reshape(-1, 2)
            loss = discriminator_loss(logits[:, 0], logits[:, 1], gan=gan).mean()
            metrics[f"loss/d_{name}"] = loss
            metrics[f"health/d_{name}_accuracy"] = accuracy(logits[:, 0], logits[:, 1], gan=gan)
            total += loss
        return total, metrics

    def degradation_loss(self, outputs: DegOutputs, batch: Batch, critics: Params) -> tuple[jax.Array, Terms]:
        """(L_DeG of equation 7, its terms) from the outputs of DeG for a batch."""
        settings = self.config.loss
        kl = divergence(settings.kl, outputs.degradation, outputs.degradation_ref, temperature=settings.kl_temperature)
        terms = {
            "adv_low": generator_loss(
                self._discriminate(critics["low"], self._gamma_encoded(outputs.low_ref)), gan=settings.gan
            ),
            "adv_de": generator_loss(self._discriminate(critics["de"], outputs.degradation_ref), gan=settings.gan),
            "kl": kl,
            "pair": self._pair_distance(outputs.degradation, batch),
        }
        return weighted_sum({name: jnp.mean(value) for name, value in terms.items()}, settings)

    def refinement_loss(
        self, reg: Params, batch: Batch, *, deg: Params | None, frozen: PyTree
    ) -> tuple[jax.Array, Terms]:
        """(L_ReG of equation 9, its terms); "_ref" are those of the synthetic pairs. DeG is constant here.

        `frozen` are the frozen variables of the state, read only for a perceptual term.
        """
        reg_input, target = self._refinement_pairs(batch, deg)
        restored = self.model.apply({"params": {"reg": reg}}, reg_input, method="refine")
        perceptual = partial(self.perceptual, frozen, dtype=self.model.dtype)
        terms = refinement_terms(
            restored, target, weights=self.config.loss, synthetic=self.model.dl_da, perceptual=perceptual
        )
        return weighted_sum(terms, self.config.loss)

    def _refinement_pairs(self, batch: Batch, deg: Params | None) -> tuple[jax.Array, jax.Array]:
        """(inputs of ReG, targets): the real pairs, with `deg` alternating with the synthetic ones made by it."""
        low, target, equalised = batch["low"], batch["reference"], batch.get("equalised")
        if deg is None:
            return self._reg_input(low, low, equalised), target
        made = jax.lax.stop_gradient(self.synthesise(deg, batch))
        base, base_ref = low, made.low_ref
        if self.model.remove_degradation:
            remove = self.model.form.remove
            base, base_ref = remove(low, made.degradation), remove(made.low_ref, made.degradation_ref)
        real = self._reg_input(base, low, equalised)
        synthetic = self._reg_input(base_ref, made.low_ref)
        return interleave(real, synthetic), interleave(target, batch["photo"])

    def _prepare(
        self, state: TrainState, batch: Batch, key: jax.Array
    ) -> tuple[Batch, jax.Array, AdversarialState, Params]:
        """(batch, learning rate, adversarial state, parameters) of a step."""
        batch = self.complete(self.augment(jax.random.fold_in(key, state.step), batch))
        return batch, self.schedule(state.step), state.opt_state, state.params

    def _next(self, state: TrainState, params: Params, adversarial: AdversarialState) -> TrainState:
        ema = moving_average(state.ema, params, step=state.step, decay=self.config.train.ema_decay)
        return state.replace(step=state.step + 1, params=params, opt_state=adversarial, ema=ema)

    def _degrade_with_gradient(self, deg: Params, batch: Batch) -> tuple[DegOutputs, DegGradient]:
        """(outputs of DeG, critics -> ((L_DeG, its terms), its gradient)). With microbatches, DeG runs twice."""

        def outputs_of(deg: Params, part: Batch) -> DegOutputs:
            return self.synthesise(deg, part)

        if self.microbatches > 1:
            outputs = map_microbatches(lambda part: outputs_of(deg, part), batch, microbatches=self.microbatches)
            loss_and_grad = value_and_grad(
                lambda deg, part, critics: self.degradation_loss(outputs_of(deg, part), part, critics),
                microbatches=self.microbatches,
            )
            return outputs, lambda critics: loss_and_grad(deg, batch, critics=critics)
        outputs, pull_back = jax.vjp(lambda deg: outputs_of(deg, batch), deg)

        def deg_gradient(critics: Params) -> tuple[tuple[jax.Array, Terms], Params]:
            result, cotangent = jax.value_and_grad(self.degradation_loss, has_aux=True)(outputs, batch, critics)
            return result, pull_back(cotangent)[0]

        return outputs, deg_gradient

    def _pair_distance(self, degradation: jax.Array, batch: Batch) -> jax.Array:
        """L1 (b,) of I_L and its own reference darkened by I_D, both as D_low sees them."""
        darkened = clip(self.model.form.apply(batch["reference"], degradation), kind=self.config.synthesis.clip)
        return l1(self._gamma_encoded(darkened), self._gamma_encoded(batch["low"]))

    def _degrade(self, deg: Params, low: jax.Array) -> jax.Array:
        return self.model.apply({"params": {"deg": deg}}, low, method="degrade")

    def _reg_input(self, base: jax.Array, low: jax.Array, equalised: jax.Array | None = None) -> jax.Array:
        inputs: jax.Array = self.model.apply({}, base, low, equalised, method="reg_input")
        return inputs

    def _discriminate(self, critic: Params, image: jax.Array) -> jax.Array:
        return self.discriminator.apply({"params": critic}, image)

    def _gamma_encoded(self, low: jax.Array) -> jax.Array:
        """The input of D_low: low images (b, h, w, 3), with `loss.adv_low_gamma` below 1 as (x + 1/255) ** gamma."""
        gamma = self.config.loss.adv_low_gamma
        return low if gamma == 1 else (jnp.maximum(low, 0) + 1 / 255) ** gamma
