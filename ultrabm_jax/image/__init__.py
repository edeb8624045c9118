"""Images on the host: reading and writing files, colour, resizing, equalisation, flips, synthetic darkness.

Training, evaluation, restoring and metrics read and write image files only through `read_image` and `write_image`.
Operations on pixels are written once for NumPy and JAX.
"""

from ultrabm_jax.image.bad_image import BadImage
from ultrabm_jax.image.formats import is_image
from ultrabm_jax.image.read import Image, read_image, read_rgb_uint8, read_size
from ultrabm_jax.image.samples import Region
from ultrabm_jax.image.write import write_image

__all__ = ["BadImage", "Image", "Region", "is_image", "read_image", "read_rgb_uint8", "read_size", "write_image"]
