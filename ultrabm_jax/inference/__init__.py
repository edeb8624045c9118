"""From files to files: photos of any size in, restored images out."""

from ultrabm_jax.inference.restorer import Restorer, make_restorer

__all__ = ["Restorer", "make_restorer"]
