"""Restoring images taken in the dark, in JAX and Flax. Importing this package does not import TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ultrabm_jax.pretrained import list_pretrained

if TYPE_CHECKING:
    from ultrabm_jax.inference.runs import Run

__all__ = ["list_pretrained", "load_pretrained"]


def load_pretrained(name: str) -> Run:
    """The bundled model of this name (`list_pretrained`): `.task`, `.variables`, `.config` and `.step` of its run.

        run = load_pretrained(name)
        restored = make_restorer(run.task, run.variables)(low)      # ultrabm_jax.inference

    Raises UserError for an unknown name, listing the known ones.
    """
    from ultrabm_jax.inference.pretrained import load_pretrained as load  # keeps `import ultrabm_jax` light

    return load(name)
