"""Terms of DRGN's L_ReG (equation 9): those of the real pairs, and as "NAME_ref" those of the synthetic pairs.

Both kinds go through ReG in one batch, in which they alternate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from ultrabm_jax.losses.pixel import charbonnier
from ultrabm_jax.methods.base import Terms
from ultrabm_jax.metrics.ssim import ssim


def refinement_terms(
    restored: jax.Array,
    target: jax.Array,
    *,
    weights: Mapping[str, float],
    synthetic: bool,
    perceptual: Callable[[jax.Array, jax.Array], jax.Array],
) -> Terms:
    """{name: mean loss of a kind of pair} of images (b, h, w, 3) in [0, 1].

    weights: config.loss. synthetic: every second pair is a synthetic one. perceptual: L_P (b,) of two batches, called
    only with the pairs that have a weight, because VGG is most of a step on a CPU.
    """
    suffixes = ("", "_ref") if synthetic else ("",)
    losses = {"con": charbonnier(restored, target, epsilon=weights["epsilon"]), "ssim": ssim(restored, target)}
    terms = {}
    for name, values in losses.items():
        for suffix, part in zip(suffixes, separate(values, len(suffixes)), strict=True):
            terms[name + suffix] = part.mean()
    if weighted := [k for k, suffix in enumerate(suffixes) if weights[f"lambda_p{suffix}"]]:
        parts = (separate(images, len(suffixes)) for images in (restored, target))
        values = perceptual(*(interleave(*(part[k] for k in weighted)) for part in parts))
        for k, part in zip(weighted, separate(values, len(weighted)), strict=True):
            terms[f"p{suffixes[k]}"] = part.mean()
    return terms


def interleave(*batches: jax.Array) -> jax.Array:
    """Several batches as one, with alternating examples, so that each device keeps its own examples."""
    return jnp.stack(batches, axis=1).reshape(-1, *batches[0].shape[1:])


def separate(x: jax.Array, count: int) -> list[jax.Array]:
    """The `count` batches that `interleave` joined."""
    parts = x.reshape(-1, count, *x.shape[1:])
    return [parts[:, index] for index in range(count)]
