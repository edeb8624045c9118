"""Random variables of a network, drawn by NumPy: equal on every machine, and nothing is compiled to make them."""

from __future__ import annotations

import zlib

import jax
import numpy as np

from ultrabm_jax.typing import PyTree


def draw_variables(shapes: PyTree) -> PyTree:
    """Arrays of the given shapes that keep the scale of the signal; each depends only on its path and shape."""
    return jax.tree_util.tree_map_with_path(_draw, shapes)


def _draw(path: tuple[jax.tree_util.KeyEntry, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    moments = {"mu", "nu"} & set(name.split("/"))  # of an optimiser
    if moments or not np.issubdtype(leaf.dtype, np.floating):
        return np.zeros(leaf.shape, leaf.dtype)
    last = name.rsplit("/", 1)[-1]
    if "var" in last:  # of a normalisation
        values = rng.uniform(0.5, 1.5, leaf.shape)
    elif last == "matrix" or (len(leaf.shape) == 2 and leaf.shape[0] == leaf.shape[1]):  # the flow inverts matrices
        values = np.linalg.qr(rng.normal(size=leaf.shape))[0]
    elif last in ("bias", "log_scale", "gain"):  # also of a stack of layers
        values = rng.normal(0, 0.1, leaf.shape)
    else:
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 100
        values = rng.normal(0, fan_in**-0.5, leaf.shape)
    if "/steps/" in name and last != "matrix":  # of a flow, whose many steps would overflow
        values = 0.3 * values
    return np.asarray(values, leaf.dtype)
