"""Camera raw files and mosaics: reading, levels, filter arrays, packing, amplification, noise, DNG.

    read_raw(path) -> Mosaic      .samples (h, w) float32 in [0, 1]; .values, .black, .white as in the file

rawpy and tifffile are imported when the first file is read.
"""

from ultrabm_jax.raw.levels import Levels
from ultrabm_jax.raw.raw_file import require_rawpy
from ultrabm_jax.raw.reader import CAMERA_SUFFIXES, RAW_SUFFIXES, Mosaic, is_raw, read_raw

__all__ = ["CAMERA_SUFFIXES", "RAW_SUFFIXES", "Levels", "Mosaic", "is_raw", "read_raw", "require_rawpy"]
