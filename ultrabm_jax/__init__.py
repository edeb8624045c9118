"""Restoring images taken in the dark, in JAX and Flax.

    from ultrabm_jax import load_pretrained

    restore = load_pretrained("lw_drgn_photo")
    bright = restore(image)         # array, PIL image or path (`Restorer.__call__`)

Importing this package does not import TensorFlow; JAX and the networks are imported when a model is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ultrabm_jax.pretrained import list_pretrained
from ultrabm_jax.versions import VERSION as __version__

if TYPE_CHECKING:
    from ultrabm_jax.inference.load import load_pretrained
    from ultrabm_jax.inference.restorer import Restorer

__all__ = ["Restorer", "__version__", "list_pretrained", "load_pretrained"]


def __getattr__(name: str) -> object:
    """Imports the networks on first use, which keeps `import ultrabm_jax` light."""
    if name == "Restorer":
        from ultrabm_jax.inference.restorer import Restorer

        return Restorer
    if name == "load_pretrained":
        from ultrabm_jax.inference.load import load_pretrained

        return load_pretrained
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
