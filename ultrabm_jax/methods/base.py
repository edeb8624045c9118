"""The interface of a method, and the training step of methods with one network and a weighted sum of losses."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.models import task_from_config
from ultrabm_jax.optim.microbatches import value_and_grad
from ultrabm_jax.optim.optimizer import make_optimizer, make_schedule
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.typing import Batch, Metrics, Params, PyTree

Terms = dict[str, jax.Array]  # name of a loss: its mean over the batch, before its weight
TrainStep = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]


class Method(ABC):
    """The pure functions by which the network of a config is trained; holds no state.

    `task` is the network and how it is used (models/task.py).
    """

    required_steps: Collection[int] = ()  # counted from 1; the run stops if one of them is not finite
    similarities: Collection[str] = ()  # terms that training increases: their weights are 0 or negative

    def __init__(self, config: ConfigDict) -> None:
        check_weights(config.get("loss", {}), similarities=self.similarities)
        self.config = config
        self.task = task_from_config(config)
        self.schedule = make_schedule(config.train)

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.task.model

    @abstractmethod
    def init(self, key: jax.Array, low: jax.Array) -> TrainState:
        """The initial state, without the frozen part; pure, so that it can be jitted with output shardings.

        `low` is an example input of the network (`task.example_input`).
        """

    @abstractmethod
    def phases(self, state: TrainState) -> dict[int, TrainStep]:
        """{first step: train_step from that step on}; `state` is the state with which a run starts.

        train_step(state, batch, key) -> (state, metrics). The key belongs to the run; the randomness of a step is
        fold_in(key, step). Each phase is compiled separately: with two phases in one program, behind a jax.lax.cond,
        XLA's convolutions on a CPU took 17 times as long.
        """

    def frozen(self, key: jax.Array) -> dict[str, PyTree]:
        """Returns the variables that are never trained, {"model": ..., "perceptual": ...}; may read weight files.

        Raises MissingAsset for a file that is not available.
        """
        return {}

    def frozen_shapes(self) -> dict[str, PyTree]:
        """Shapes of what `frozen` returns; reads no file."""
        return {}

    def augment(self, key: jax.Array, batch: Batch) -> Batch:
        """The batch after random augmentation inside the step."""
        return batch

    def variables(self, state: TrainState) -> dict[str, PyTree]:
        """The variables for `task.restore` and `model.apply`."""
        frozen = {"frozen": state.frozen["model"]} if "model" in state.frozen else {}
        return {"params": state.eval_params(), **frozen}

    def min_sides(self) -> dict[str, int]:
        """{field of the config: fewest pixels a side of a restored patch that the loss of this field needs}."""
        return {}

    def min_batch_size(self) -> int:
        """The fewest examples that a batch must have."""
        return 1

    def warnings(self, step: int, scalars: Mapping[str, float]) -> dict[str, str]:
        """{kind: one line} of warnings about the averages that are logged at `step`."""
        return {}


class SingleNetwork(Method):
    """One network, one optimiser, one weighted sum of losses; a subclass defines `terms`."""

    def __init__(self, config: ConfigDict) -> None:
        super().__init__(config)
        self.optimizer = make_optimizer(config.train)

    @abstractmethod
    def terms(self, params: Params, *, frozen: PyTree, batch: Batch) -> Terms:
        """{name: mean loss of the batch}, weighted by config.loss["lambda_NAME"]; weight zero may leave it out."""

    def init(self, key: jax.Array, low: jax.Array) -> TrainState:
        params = self.task.init_params(key)
        ema = params if self.config.train.ema_decay else None
        return TrainState(jnp.zeros((), jnp.int32), params, self.optimizer.init(params), ema, frozen=None)

    def phases(self, state: TrainState) -> dict[int, TrainStep]:
        return {0: self.train_step}

    def train_step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        """One optimiser step; pure, to be jitted."""
        batch = self.augment(jax.random.fold_in(key, state.step), batch)
        loss_and_grad = value_and_grad(self._loss, microbatches=self.config.train.accumulate)
        (_, terms), grads = loss_and_grad(state.params, batch, frozen=state.frozen)
        return self.apply_gradients(state, terms, grads)

    def apply_gradients(self, state: TrainState, terms: Terms, grads: Params) -> tuple[TrainState, Metrics]:
        """(the state after one step of the optimiser along `grads`, scalars to log of the step)."""
        updates, opt_state = self.optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = moving_average(state.ema, params, step=state.step, decay=self.config.train.ema_decay)
        metrics = step_metrics(terms, grads, rate=self.schedule(state.step))
        return state.replace(step=state.step + 1, params=params, opt_state=opt_state, ema=ema), metrics

    def _loss(self, params: Params, batch: Batch, *, frozen: PyTree) -> tuple[jax.Array, Terms]:
        return weighted_sum(self.terms(params, frozen=frozen, batch=batch), self.config.loss)


def check_weights(loss: Mapping[str, Any], *, similarities: Collection[str] = ()) -> None:
    """Raises UserError for a weight `lambda_NAME` that is not finite, or negative; of `similarities`: positive."""
    for field, weight in loss.items():
        prefix, _, name = field.partition("lambda_")
        if prefix or not name:
            continue
        if name in similarities and not -math.inf < weight <= 0:
            raise UserError(
                f"loss.{field}={weight}: the weight of a similarity, which training increases, must be a finite "
                "number, 0 or negative"
            )
        if name not in similarities and not 0 <= weight < math.inf:
            raise UserError(f"loss.{field}={weight}: the weight of a loss must be a finite number, 0 or positive")


def weighted_sum(terms: Terms, weights: Mapping[str, float]) -> tuple[jax.Array, Terms]:
    """(sum of weights["lambda_NAME"] * term, {"total": the sum, and the terms of nonzero weight})."""
    terms = {name: value for name, value in terms.items() if weights[f"lambda_{name}"]}
    total = sum((weights[f"lambda_{name}"] * value for name, value in terms.items()), start=jnp.zeros(()))
    return total, {"total": total} | terms


def step_metrics(terms: Terms, grads: Params, *, rate: jax.Array) -> Metrics:
    """The scalars that every step logs: losses, norm of the gradient, learning rate."""
    metrics = {f"loss/{name}": value for name, value in terms.items()}
    return metrics | {"grad_norm": optax.global_norm(grads), "learning_rate": rate}


def moving_average(ema: Params | None, params: Params, *, step: jax.Array, decay: float) -> Params | None:
    """The next exponential moving average of the parameters; None if `ema` is None.

    The decay grows with the step, (1 + step) / (10 + step), up to `decay` (as TensorFlow's ExponentialMovingAverage),
    so that in a short run the initial parameters do not dominate the average.
    """
    kept = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return None if ema is None else optax.incremental_update(params, ema, 1 - kept)
