"""From files to files: photographs of any size in, restored pictures out."""

from ultrabm_jax.inference.image_files import Photo, read_photo, write_png
from ultrabm_jax.inference.restorer import Restorer, make_restorer

__all__ = ["Photo", "Restorer", "make_restorer", "read_photo", "write_png"]
