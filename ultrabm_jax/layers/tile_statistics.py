"""Global statistics of an image, shared between its tiles.

A layer that reduces over all positions (context block, transposed attention, selective fusion, channel attention)
computes other statistics on a tile than on the whole image; tiles then differ in brightness and colour. Such a layer
passes its statistic through `shared_statistic`:

    restored, recorded = model.apply(variables, preview, mutable=["statistics"])   # record on a preview of the image
    restored = model.apply({**variables, **recorded}, tile)                        # reuse for every tile
"""

from __future__ import annotations

import flax.linen as nn
import jax

STATISTICS = "statistics"  # name of the variable collection


def shared_statistic(module: nn.Module, name: str, value: jax.Array) -> jax.Array:
    """Returns `value`, or the recorded one where the collection "statistics" was passed to `apply`.

    Records `value` if the collection is mutable.
    """
    if module.is_initializing():
        return value
    if module.is_mutable_collection(STATISTICS):
        module.put_variable(STATISTICS, name, value)
        return value
    if module.has_variable(STATISTICS, name):
        recorded: jax.Array = module.get_variable(STATISTICS, name)
        return recorded
    return value
