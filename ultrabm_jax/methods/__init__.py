"""How each paper trains. A method is pure and offers

    init(key, low)                   -> TrainState
    phases(state)                    -> {0: train_step}, and where it changes, if it does
    train_step(state, batch, key)    -> (TrainState, {name: scalar})
    restore(variables, low)          -> restored image in [0, 1]

The loop knows nothing else: no stages of a game, no flows, no losses. One network with a sum of losses is a
`SingleNetwork` (base.py).
"""

from __future__ import annotations

from collections.abc import Callable

from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.methods.base import Method
from ultrabm_jax.methods.drgn import DRGNMethod
from ultrabm_jax.methods.lolisrflow import LoLiSRFlowMethod
from ultrabm_jax.methods.red import REDMethod
from ultrabm_jax.methods.ultrabm import UltraBMMethod

__all__ = ["METHODS", "DegradeAndRefine", "Likelihood", "Method", "RawSupervised", "Supervised", "create_method"]

# name of the model -> how it trains
METHODS: dict[str, Callable[[ConfigDict], Method]] = {
    "ultrabm": UltraBMMethod,
    "red": REDMethod,
    "drgn": DRGNMethod,
    "lw_drgn": DRGNMethod,
    "lolisrflow": LoLiSRFlowMethod,
}


def create_method(config: ConfigDict) -> Method:
    """The method of config.model.name."""
    if config.model.name not in METHODS:
        known = ", ".join(sorted(METHODS))
        raise UserError(f"no way to train model {config.model.name!r} is known; known: {known}")
    return METHODS[config.model.name](config)
