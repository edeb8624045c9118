"""How each paper trains. A method is pure and offers

    init(key, low)                   -> TrainState
    train_step(state, batch, key)    -> (TrainState, {name: scalar})
    restore(variables, low)          -> restored picture in [0, 1]

The loop knows nothing else: no stages of a game, no flows, no losses.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.methods.supervised import Supervised

METHODS = {"ultrabm": Supervised}  # name of the model -> how it trains


def create_method(config: ConfigDict) -> Supervised:
    """The method of config.model.name."""
    if config.model.name not in METHODS:
        known = ", ".join(sorted(METHODS))
        raise UserError(f"no way to train model {config.model.name!r} is known; known: {known}")
    return METHODS[config.model.name](config)
