"""Maps of a dark image that say less about its exposure than its values do: the inputs of LoLiSRFlow's encoder.

    log(x + 0.001), the histogram-equalised image, the colour ratio map, the noise map       3 channels each

Source: LoLiSRFlow and LLFlow (models/lolisrflow/network.py). DRGN and UltraBM receive them with the option
`input_maps`, which is ours: both networks otherwise judge the exposure of an image from the values of a patch.

Equalisation depends on the *whole* image. In training, the data pipeline cuts the patch from the equalised image
(config.data.extra_inputs=("equalised",)); without it, the patch itself is equalised.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.image.equalisation import equalising_tables, levels_of, look_up
from ultrabm_jax.layers.canvas import inside
from ultrabm_jax.layers.colour_ratio import FLOOR, colour_ratio, noise_map
from ultrabm_jax.layers.tile_statistics import shared_statistic

CHANNELS = 12


def input_maps(low: jax.Array, equalised: jax.Array) -> jax.Array:
    """low and its equalised image, (b, h, w, 3) in [0, 1] each -> (b, h, w, 12)."""
    ratio = colour_ratio(low)
    return jnp.concatenate([jnp.log(jnp.maximum(low, 0) + FLOOR), equalised, ratio, noise_map(ratio)], axis=-1)


def equalise(module: nn.Module, low: jax.Array) -> jax.Array:
    """Equalises each channel's histogram, (b, h, w, 3) -> the same.

    A tile uses the tables of its image, which are recorded as a statistic of `module` (layers/tile_statistics.py).
    """
    levels = levels_of(low, xp=jnp)
    tables = equalising_tables(levels, where=inside(levels, padded=False))
    return look_up(levels, shared_statistic(module, "equalisation", tables))
