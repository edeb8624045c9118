"""The state of a training run, in one typed dataclass."""

from __future__ import annotations

import dataclasses

import jax

from ultrabm_jax.typing import PyTree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """An immutable value that a training step maps to the next. All leaves are arrays."""

    step: jax.Array  # () int32: optimiser steps done
    params: PyTree  # trained parameters
    opt_state: PyTree  # the optimiser's state and all other training-only state, such as discriminators
    ema: PyTree  # exponential moving average of params, or None
    frozen: PyTree  # never trained: {"model": semantic extractor, "perceptual": VGG}

    def replace(self, **changes: PyTree) -> TrainState:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def saved(self) -> TrainState:
        """The part that checkpoints hold; the frozen part is saved once per run."""
        return self.replace(frozen=None)

    def eval_params(self) -> PyTree:
        """The parameters for evaluation: the moving average if there is one."""
        return self.params if self.ema is None else self.ema
