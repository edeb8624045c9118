"""Images as the user has them: arrays, PIL images and files are restored and returned in the same form."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image as pillow
from PIL import ImageOps

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import Image, read_image
from ultrabm_jax.image.colour import LUMA_F32
from ultrabm_jax.image.exposure import expose
from ultrabm_jax.image.hidden import fill_hidden
from ultrabm_jax.image.resize import LANCZOS, resize
from ultrabm_jax.image.symmetry import FROM_EXIF, flip_rotate
from ultrabm_jax.image.write import quantise
from ultrabm_jax.raw import Mosaic, is_raw, read_raw
from ultrabm_jax.raw.amplification import amplification

if TYPE_CHECKING:
    from ultrabm_jax.inference.restorer import Restorer

FilePath: TypeAlias = str | os.PathLike[str]
PillowImage: TypeAlias = pillow.Image
Restore: TypeAlias = Callable[[np.ndarray], np.ndarray]  # float32 (h, w, c) -> (s*h, s*w, 3) in [0, 1]

ROUNDING = 1e-6  # by which resizing and the like may leave [0, 1]
GRAY_MODES = ("1", "L", "LA", "La")
COLOUR_MODES = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")  # 8 bits per channel


def restore_photo(restore: Restore, photo: Image, *, stops: float = 0.0) -> np.ndarray:
    """Returns (s*h, s*w, 3), or 4 with alpha, which is resized. A gray photo stays gray: networks may tint it.

    stops: exposure of the restored image. A gain on the input would have little effect: networks compensate for it.
    """
    restored = restore(fill_hidden(photo.rgb, photo.alpha))
    if photo.gray:
        restored = np.repeat((restored @ LUMA_F32)[..., None], 3, axis=-1)
    restored = expose(restored, stops)
    if photo.alpha is None:
        return restored
    return np.dstack([restored, resize(photo.alpha, restored.shape[:2], LANCZOS)])


def restore_mosaic(restore: Restore, raw: Mosaic, factor: float) -> np.ndarray:
    """The restored image of a camera raw file, (h, w, 3) in [0, 1]: amplified by `factor`, cropped and upright."""
    restored = restore((raw.samples * np.float32(factor))[..., None])
    restored = restored if raw.final is None else restored[raw.final]
    return np.ascontiguousarray(flip_rotate(restored, FROM_EXIF[raw.orientation]))


def restore_as_given(restorer: Restorer, image: object) -> np.ndarray | jax.Array | PillowImage:
    """One image in any form of `Restorer.__call__`, or a batch (b, h, w, 3)."""
    if isinstance(image, str | os.PathLike):
        return _restore_file(restorer, Path(image))
    if isinstance(image, pillow.Image):
        return _restore_pillow(restorer, image)
    if isinstance(image, jax.Array):
        return jnp.asarray(_restore_array(restorer, np.asarray(image)))
    if isinstance(image, np.ndarray):
        return _restore_array(restorer, image)
    raise UserError(f"an image is a NumPy or JAX array, a PIL image or a path, not {type(image).__name__}")


def restore_batch(restorer: Restorer, images: Sequence[object]) -> list[np.ndarray | jax.Array | PillowImage]:
    """A list of images; NumPy arrays of one size and type are restored on all devices."""
    if len({(image.shape, image.dtype) if isinstance(image, np.ndarray) else id(image) for image in images}) == 1:
        first = images[0]
        if isinstance(first, np.ndarray) and first.ndim == 3:
            return list(_restore_array(restorer, np.stack([np.asarray(image) for image in images])))
    return [restore_as_given(restorer, image) for image in images]


def _restore_array(restorer: Restorer, image: np.ndarray) -> np.ndarray:
    channels = restorer.task.channels
    if image.ndim not in (3, 4) or image.shape[-1] != channels or not image.size:
        raise UserError(f"an image has the shape (height, width, {channels}), not {image.shape}")
    low = _unit(image) if restorer.task.input_kind == "rgb" else _samples(image)
    restored = restorer.restore(low) if low.ndim == 3 else restorer.many(low)
    return quantise(restored, 8) if image.dtype == np.uint8 else restored


def _unit(image: np.ndarray) -> np.ndarray:
    """float32 in [0, 1]. Raises UserError for a type or range that leaves open which value is white."""
    if image.dtype == np.uint8:
        return image.astype(np.float32) / 255
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise UserError(f"an image is uint8, or floating-point in [0, 1], not {image.dtype}")
    lowest, highest = float(image.min()), float(image.max())
    if not np.isfinite([lowest, highest]).all():
        raise UserError("the image has values that are not finite")
    if lowest < -ROUNDING or highest > 1 + ROUNDING:
        remedy = "; divide it by 255, or pass uint8" if 1 < highest <= 255 and lowest >= 0 else ""
        raise UserError(f"a floating-point image is in [0, 1], not from {lowest:g} to {highest:g}{remedy}")
    return np.clip(image.astype(np.float32), 0, 1)


def _samples(mosaic: np.ndarray) -> np.ndarray:
    if not jnp.issubdtype(mosaic.dtype, jnp.floating):
        raise UserError(f"amplified samples of a camera raw file are floating-point, 0 at black, not {mosaic.dtype}")
    return mosaic.astype(np.float32)


def _restore_file(restorer: Restorer, path: Path) -> np.ndarray:
    if restorer.task.input_kind == "rgb":
        return quantise(restore_photo(restorer.restore, read_image(path)), 8)
    if path.exists() and not is_raw(path):
        raise UserError(f"{path}: not a camera raw file, which is what this network restores")
    raw = read_raw(path)
    restorer.task.require_cfa(raw.cfa, source=str(path))
    return quantise(restore_mosaic(restorer.restore, raw, amplification("auto", raw.samples)), 8)


def _restore_pillow(restorer: Restorer, image: PillowImage) -> PillowImage:
    if restorer.task.input_kind != "rgb":
        raise UserError(f"{restorer.task.name} restores camera raw files, not PIL images")
    restored = quantise(restore_photo(restorer.restore, _from_pillow(image)), 8)
    if image.mode in GRAY_MODES:
        restored = restored[..., 0] if restored.shape[-1] == 3 else restored[..., [0, 3]]
    result = pillow.fromarray(restored)
    if image.mode not in GRAY_MODES and image.mode != "CMYK" and "icc_profile" in image.info:
        result.info["icc_profile"] = image.info["icc_profile"]
    return result


def _from_pillow(image: PillowImage) -> Image:
    """A PIL image of 8 bits per channel, upright. Raises UserError for another mode."""
    if image.mode not in GRAY_MODES + COLOUR_MODES:
        raise UserError(f"a PIL image of mode {image.mode} has no defined range; pass a float array in [0, 1]")
    gray = image.mode in GRAY_MODES
    has_alpha = image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info
    upright = ImageOps.exif_transpose(image)
    pixels = np.asarray(upright.convert("RGBA" if has_alpha else "RGB"), np.float32) / 255
    rgb = np.ascontiguousarray(pixels[..., :3])
    is_gray = gray or bool((rgb.min(axis=-1) == rgb.max(axis=-1)).all())
    return Image(rgb=rgb, alpha=pixels[..., 3] if has_alpha else None, gray=is_gray)
