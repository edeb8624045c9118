"""What a method is, and the step that several papers share: one network, one optimiser, one sum of losses."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ultrabm_jax.optim.microbatches import value_and_grad
from ultrabm_jax.optim.optimizer import make_optimizer, make_schedule
from ultrabm_jax.optim.state import TrainState

Batch = dict[str, jax.Array]
Terms = dict[str, jax.Array]  # name of a loss: its mean over the batch, before its weight
Metrics = dict[str, jax.Array]  # name: (), or (2,) for a value that not every step has (training/meter.py)
TrainStep = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]


class Method(ABC):
    """The pure functions of one config; holds no state besides it."""

    required_steps: Collection[int] = ()  # a run ends where one of them (1 is the first) is not finite

    def __init__(self, config: ConfigDict, model: nn.Module) -> None:
        self.config = config
        self.model = model
        self.schedule = make_schedule(config.train)

    @abstractmethod
    def init(self, key: jax.Array, low: jax.Array) -> TrainState:
        """Fresh trained state, without the frozen part; pure, to be jitted so that it is born sharded."""

    @abstractmethod
    def phases(self, state: TrainState) -> dict[int, TrainStep]:
        """{number: what a step is from that one on}; `state` is what a run starts from. Most methods have one phase.

        train_step(state, batch, key) -> (state, metrics). The key is the run's; a step's own randomness is
        fold_in(key, step). Each phase is a program of its own: with both in one, behind a jax.lax.cond, XLA's
        convolutions on a CPU took 17 times as long.
        """

    @abstractmethod
    def restore(self, variables: dict[str, Any], low: jax.Array) -> jax.Array:
        """Restored images (b, s h, s w, 3) in [0, 1]."""

    def initial_params(self, key: jax.Array, low: jax.Array) -> Any:
        """Fresh parameters; `low` gives the size of the input."""
        return self.model.init(key, low)["params"]

    def frozen(self, key: jax.Array) -> dict[str, Any]:
        """Variables that are never trained: {"model": ..., "perceptual": ...}; may read weight files."""
        return {}

    def augment(self, key: jax.Array, batch: Batch) -> Batch:
        """What is done to a batch within the step."""
        return batch

    def restore_batch(self, variables: dict[str, Any], batch: Batch) -> jax.Array:
        """`restore` for a batch of the data set, whatever that holds beside `low`."""
        return self.restore(variables, batch["low"])

    def variables(self, state: TrainState) -> dict[str, Any]:
        """What `restore` and `model.apply` need."""
        frozen = {"frozen": state.frozen["model"]} if "model" in state.frozen else {}
        return {"params": state.eval_params(), **frozen}

    def warnings(self, step: int, scalars: Mapping[str, float]) -> dict[str, str]:
        """What a person should know of the averages that are logged at `step`: {kind: one line}."""
        return {}


class SingleNetwork(Method):
    """One network, one optimiser, one weighted sum of losses. A paper says `terms` and `restore`."""

    def __init__(self, config: ConfigDict, model: nn.Module) -> None:
        super().__init__(config, model)
        self.optimizer = make_optimizer(config.train)

    @abstractmethod
    def terms(self, params: Any, *, frozen: Any, batch: Batch) -> Terms:
        """The losses of a batch; each one's weight is config.loss["lambda_NAME"], and weight zero may leave it out."""

    def init(self, key: jax.Array, low: jax.Array) -> TrainState:
        params = self.initial_params(key, low)
        ema = params if self.config.train.ema_decay else None
        return TrainState(jnp.zeros((), jnp.int32), params, self.optimizer.init(params), ema, frozen=None)

    def phases(self, state: TrainState) -> dict[int, TrainStep]:
        return {0: self.train_step}

    def train_step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        """Pure, to be jitted."""
        batch = self.augment(jax.random.fold_in(key, state.step), batch)
        loss = functools.partial(self._loss, frozen=state.frozen)
        (_, terms), grads = value_and_grad(loss, parts=self.config.train.accumulate)(state.params, batch)
        updates, opt_state = self.optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = moving_average(state.ema, params, step=state.step, decay=self.config.train.ema_decay)
        metrics = {f"loss/{name}": value for name, value in terms.items()}
        metrics |= {"grad_norm": optax.global_norm(grads), "learning_rate": self.schedule(state.step)}
        return state.replace(step=state.step + 1, params=params, opt_state=opt_state, ema=ema), metrics

    def _loss(self, params: Any, batch: Batch, *, frozen: Any) -> tuple[jax.Array, Terms]:
        return weighted_sum(self.terms(params, frozen=frozen, batch=batch), self.config.loss)


def weighted_sum(terms: Terms, weights: Mapping[str, float]) -> tuple[jax.Array, Terms]:
    """(sum of weights["lambda_NAME"] * term, the terms that count and the sum as "total")."""
    terms = {name: value for name, value in terms.items() if weights[f"lambda_{name}"]}
    total = sum((weights[f"lambda_{name}"] * value for name, value in terms.items()), start=jnp.zeros(()))
    return total, {"total": total} | terms


def moving_average(ema: Any, params: Any, *, step: jax.Array, decay: float) -> Any:
    """The next moving average; None where there is none.

    Its memory grows with the run, (1 + step) / (10 + step), up to `decay` (the rule of TensorFlow's
    ExponentialMovingAverage): a short run is not held back by what the network was at its start.
    """
    kept = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return None if ema is None else optax.incremental_update(params, ema, 1 - kept)
