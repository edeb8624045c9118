"""How each paper trains its network. A method consists of pure functions:

    init(key, low)                   -> TrainState
    phases(state)                    -> {first step: train_step}; most methods have one phase
    frozen(key)                      -> variables that are never trained, such as feature extractors
    train_step(state, batch, key)    -> (TrainState, {name: scalar})
    task                             the network and how it is used (models/task.py)

The training loop depends on nothing else; it has no code for adversarial phases, flows or losses. A method with one
network and a weighted sum of losses subclasses `SingleNetwork` (base.py).
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

__all__ = [
    "METHODS",
    "DRGNMethod",
    "LoLiSRFlowMethod",
    "Method",
    "REDMethod",
    "UltraBMMethod",
    "create_method",
]

# name of the model -> its method
METHODS: dict[str, Callable[[ConfigDict], Method]] = {
    "ultrabm": UltraBMMethod,
    "red": REDMethod,
    "drgn": DRGNMethod,
    "lw_drgn": DRGNMethod,
    "lolisrflow": LoLiSRFlowMethod,
}


def create_method(config: ConfigDict) -> Method:
    """The method of config.model.name. Raises UserError for a model without one."""
    if config.model.name not in METHODS:
        known = ", ".join(sorted(METHODS))
        raise UserError(f"no method trains model {config.model.name!r}; known: {known}")
    return METHODS[config.model.name](config)
