"""From files to files: photos of any size in, restored images out."""

from ultrabm_jax.image.files import Photo, read_photo, write_png
from ultrabm_jax.inference.restorer import Restorer, make_restorer

__all__ = ["Photo", "Restorer", "make_restorer", "read_photo", "write_png"]
