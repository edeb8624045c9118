"""Everything that a run needs to go on, in one typed dataclass."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """A pure value: a step maps one to the next. All leaves are arrays."""

    step: jax.Array  # () int32: optimiser steps done
    params: Any  # trained
    opt_state: Any  # the optimiser's, and whatever else only training needs: discriminators, the step of a switch
    ema: Any  # moving average of params, or None
    frozen: Any  # never trained: {"model": semantic extractor, "perceptual": VGG}

    def replace(self, **changes: Any) -> TrainState:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def saved(self) -> TrainState:
        """The part that checkpoints hold; the frozen part is saved once per run."""
        return self.replace(frozen=None)

    def eval_params(self) -> Any:
        """What evaluation uses: the moving average where there is one."""
        return self.params if self.ema is None else self.ema
