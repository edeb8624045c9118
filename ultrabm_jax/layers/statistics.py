"""Statistics over a whole image, shareable between its tiles.

A layer that reduces over all positions (context block, attention over positions, selective fusion) gives a tile other
statistics than its image, and tiles then differ in brightness and colour. Such a layer passes its statistic through
`shared_statistic`:

    restored, recorded = model.apply(variables, preview, mutable=["statistics"])   # records
    restored = model.apply({**variables, **recorded}, tile)                        # uses the recorded values
"""

from __future__ import annotations

import flax.linen as nn
import jax

STATISTICS = "statistics"


def shared_statistic(module: nn.Module, name: str, value: jax.Array) -> jax.Array:
    """`value`, or the recorded one if the collection "statistics" was passed in; recorded if that is mutable."""
    if module.is_initializing():
        return value
    if module.is_mutable_collection(STATISTICS):
        module.put_variable(STATISTICS, name, value)
        return value
    if module.has_variable(STATISTICS, name):
        return module.get_variable(STATISTICS, name)
    return value
