"""Differences between the shapes of a saved tree and those that a model expects."""

from __future__ import annotations

import jax

from ultrabm_jax.typing import PyTree

MAX_LISTED = 3  # leaves listed in an error message


def describe_mismatch(saved: PyTree, expected: PyTree) -> str:
    """The leaves whose shapes differ, the first few by name; empty if all shapes agree."""
    there, here = _shapes(saved), _shapes(expected)
    different = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
    lines = [f"{name} is {there.get(name, 'missing')} there, {here.get(name, 'missing')} here" for name in different]
    rest = f" and {len(lines) - MAX_LISTED} more" if len(lines) > MAX_LISTED else ""
    return "; ".join(lines[:MAX_LISTED]) + rest


def _shapes(tree: PyTree) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in leaves}
