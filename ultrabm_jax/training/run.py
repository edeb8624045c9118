"""A trained model: the result of a run at one checkpoint."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
from ml_collections import ConfigDict

from ultrabm_jax.models.task import Task
from ultrabm_jax.training.evaluation_set import EvaluationSet
from ultrabm_jax.typing import Variables


@dataclasses.dataclass(frozen=True)
class Run:
    """`task.restore(variables, {"low": low})` restores; `variables` are those of checkpoint `step`.

    `evaluated` is the evaluation set whose scores chose the step; None if no scores did. `reason` is text for the user.
    """

    config: ConfigDict
    task: Task
    variables: Variables
    step: int
    reason: str
    evaluated: EvaluationSet | None = None

    @property
    def model(self) -> nn.Module:
        """The network: `model.apply(variables, low)`."""
        return self.task.model
