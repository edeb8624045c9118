"""Differences between a saved tree and the one that a model and its optimiser expect."""

from __future__ import annotations

import jax

from ultrabm_jax.typing import PyTree

MAX_LISTED = 3  # places listed in an error message


def describe_mismatch(saved: PyTree, expected: PyTree) -> str:
    """The places where shapes or structures differ, the first few by name; empty if the trees agree."""
    there, here = _shapes(saved), _shapes(expected)
    different = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
    lines = [f"{name} is {there.get(name, 'missing')} there, {here.get(name, 'missing')} here" for name in different]
    rest = f" and {len(lines) - MAX_LISTED} more" if len(lines) > MAX_LISTED else ""
    return "; ".join(lines[:MAX_LISTED]) + rest


def _shapes(tree: PyTree) -> dict[str, str]:
    """Path: shape of an array, or "empty" for a part without arrays, such as a stateless part of an optimiser."""
    parts = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda part: not jax.tree.leaves(part))
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): str(tuple(x.shape)) if jax.tree.leaves(x) else "empty"
        for path, x in parts
    }
