"""Functions in a form that converters to ONNX support, with equal values: `inline_calls(..., substitutes=SUBSTITUTES)`.

level_counts    adds at scattered positions. jax2onnx 0.17.1 does not support this scatter, and ONNX Runtime's ScatterND
                with `reduction="add"` is reported to return wrong sums for repeated positions when it runs several
                threads (microsoft/onnxruntime#23396; not reproduced here).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.export.inline import Substitutes
from ultrabm_jax.image.equalisation import LEVELS

DIGITS = 16


def level_counts_by_product(levels: jax.Array, weights: jax.Array) -> jax.Array:
    """`level_counts` as a product of matrices: levels have two digits of base 16, and pairs of digits are counted.

    Equal for up to 2^24 positions, the largest counts of float32. Slower than `level_counts` in JAX on a CPU.
    """
    assert DIGITS**2 == LEVELS
    digits = jnp.arange(DIGITS, dtype=levels.dtype)[:, None]
    quotient = jax.lax.div(levels, levels.dtype.type(DIGITS))  # jax2onnx cannot convert % of an array of symbolic size
    high = (quotient[:, None] == digits).astype(jnp.float32) * weights.astype(jnp.float32)
    low = ((levels - DIGITS * quotient)[:, None] == digits).astype(jnp.float32)
    counts = jnp.einsum("nip,njp->nij", high, low, precision=jax.lax.Precision.HIGHEST)
    return counts.reshape(-1, LEVELS).astype(jnp.int32)


SUBSTITUTES: Substitutes = {"level_counts": level_counts_by_product}
