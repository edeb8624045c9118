"""LoLiSRFlow's training: the likelihood of the reference, and an L1 loss on what temperature 0 restores.

    L = lambda_nll nll + r lambda_l1 |F^-1(mean | x) - y|_1,  r rising from 0 to 1 over the first `l1_ramp` of the steps

Source: the paper for the sum and its weight of 1.5. From LLFlow: noise of 1 / 32 on the reference, nll in bits per
pixel, temperature 0 in the second term, and the colour ratio of the reference instead of the predicted one as the mean
of the latent in a share `true_ratio` of the steps. Ours: the mean over values in L1 (the paper does not specify it),
and the ramp, because the inverse of an untrained flow can be arbitrarily large.

The first step of a run trains nothing: it initialises the activation normalisations from its batch over all devices.
Like any step it maps one state to the next, so the result is part of every checkpoint.

Deviation: LLFlow excludes NaN values from L1. Here a step with a non-finite loss is skipped, and several consecutive
ones end the run, as with every loss. A log-determinant of more than `LIMIT` nats per value counts as non-finite and is
reported under the name of its level and step; each microbatch and each device along `data` reports its first one.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from ultrabm_jax.layers.colour_ratio import colour_ratio
from ultrabm_jax.losses.pixel import l1
from ultrabm_jax.methods.base import SingleNetwork, Terms, TrainStep, weighted_sum
from ultrabm_jax.models.lolisrflow.flow.conditional_flow import Logdets
from ultrabm_jax.models.lolisrflow.likelihood import dequantise, quantisation_bits
from ultrabm_jax.models.lolisrflow.network import LoLiSRFlow
from ultrabm_jax.optim.microbatches import value_and_grad
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.typing import Batch, Metrics, Params, PyTree

LIMIT = 10.0  # nats per value in one flow step; all steps of a level together have about 1


class LoLiSRFlowMethod(SingleNetwork):
    """LoLiSRFlow on pairs {"low": (b, h, w, 3), "reference": (b, s h, s w, 3)} in [0, 1].

    "equalised" (b, h, w, 3), from config.data.extra_inputs, is cut from the equalised whole image; without it, the
    patch itself is equalised.
    """

    required_steps = (1,)  # it initialises the normalisations

    def augment(self, key: jax.Array, batch: Batch) -> Batch:
        """Adds the random inputs of a step: "noisy", the dequantised reference, and "use_true_ratio", a scalar bool."""
        noise_key, coin_key = jax.random.split(key)
        loss = self.config.loss
        return batch | {
            "noisy": dequantise(noise_key, batch["reference"], levels=loss.quantisation),
            "use_true_ratio": jax.random.bernoulli(coin_key, loss.true_ratio),
        }

    def phases(self, state: TrainState) -> dict[int, TrainStep]:
        return {0: self.first_step, 1: self.train_step}

    def first_step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        """Initialises the activation normalisations from the batch."""
        batch = self.augment(jax.random.fold_in(key, state.step), batch)
        apply = functools.partial(self.model.apply, method=_both_directions, mutable=["params"])
        (nll, logdets, _), fitted = apply({"params": state.params}, batch, with_restored=False)
        _, terms = weighted_sum({"nll": self._mean_nll(nll)}, self.config.loss)
        metrics = {f"loss/{name}": value for name, value in terms.items()} | _watch(logdets, batch)
        ema = None if state.ema is None else fitted["params"]
        return state.replace(step=state.step + 1, params=fitted["params"], ema=ema), metrics

    def train_step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        batch = self.augment(jax.random.fold_in(key, state.step), batch)
        loss_and_grad = value_and_grad(self._ramped_loss, microbatches=self.config.train.accumulate)
        (_, (terms, watched)), grads = loss_and_grad(state.params, batch, share=self.l1_share(state.step))
        state, metrics = self.apply_gradients(state, terms, grads)
        return state, metrics | watched

    def terms(self, params: Params, *, frozen: PyTree, batch: Batch) -> Terms:
        return self._pass(params, batch)[0]

    def l1_share(self, step: jax.Array) -> jax.Array:
        """r at `step`, from 0 to 1."""
        ramp = self.config.loss.l1_ramp * self.config.train.steps
        return jnp.minimum(1.0, step / ramp) if ramp else jnp.ones(())

    def _ramped_loss(
        self, params: Params, batch: Batch, *, share: jax.Array
    ) -> tuple[jax.Array, tuple[Terms, Metrics]]:
        terms, logdets = self._pass(params, batch)
        ramped = terms | ({"l1": share * terms["l1"]} if "l1" in terms else {})
        total, counted = weighted_sum(ramped, self.config.loss)
        return total, ({name: terms.get(name, total) for name in counted}, _watch(logdets, batch))

    def _pass(self, params: Params, batch: Batch) -> tuple[Terms, Logdets]:
        apply = functools.partial(self.model.apply, method=_both_directions)
        nll, logdets, restored = apply({"params": params}, batch, with_restored=bool(self.config.loss.lambda_l1))
        terms = {"nll": self._mean_nll(nll)}
        if restored is not None:
            terms["l1"] = jnp.mean(l1(jnp.clip(restored, 0, 1), batch["reference"]))
        return terms, logdets

    def _mean_nll(self, nll: jax.Array) -> jax.Array:
        loss = self.config.loss
        return jnp.mean(nll) + quantisation_bits(levels=loss.quantisation, per=loss.quantisation_per)


def _both_directions(
    model: LoLiSRFlow, batch: Batch, *, with_restored: bool
) -> tuple[jax.Array, Logdets, jax.Array | None]:
    """Both directions with one pass of E: nll (b,), log-determinants, and the restored image or None."""
    low = batch["low"]
    condition = model.condition(low, equalised=batch.get("equalised"))
    judged = condition
    if model.has_ratio:
        true = model.padded(colour_ratio(batch["reference"]))
        judged = dataclasses.replace(condition, mean=jnp.where(batch["use_true_ratio"], true, condition.mean))
    encoded = model.encode(batch["noisy"], low, condition=judged)
    restored = model.decode(model.latent(condition), low, condition=condition)["restored"] if with_restored else None
    return encoded["nll"], encoded["logdets"], restored


def _watch(logdets: Logdets, batch: Batch) -> Metrics:
    """Mean nats per value of each level, and the first flow step beyond LIMIT under its name."""
    values = batch["reference"][0].size
    metrics: Metrics = {}
    for name, part in logdets.items():
        level = f"logdet/{name.split('/')[0]}"
        metrics[level] = metrics.get(level, jnp.zeros(())) + jnp.mean(jnp.sum(part, axis=0)) / values
    names = [f"logdet/{name}{i:02}" for name, part in logdets.items() for i in range(1, len(part) + 1)]
    largest = jnp.concatenate([jnp.max(jnp.abs(part), axis=1) for part in logdets.values()]) / values
    exploded = ~(largest <= LIMIT)  # also true for NaN
    first = exploded & (jnp.cumsum(exploded) == 1)
    return metrics | {name: jnp.stack([jnp.inf, now]) for name, now in zip(names, first, strict=True)}
