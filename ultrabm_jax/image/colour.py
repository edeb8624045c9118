"""sRGB's transfer curve and luma, for NumPy and JAX arrays alike (`xp` is `numpy` or `jax.numpy`)."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from ultrabm_jax.typing import ArrayT

LUMA = (0.299, 0.587, 0.114)  # weights of R', G' and B', ITU-R BT.601
LUMA_F32 = np.array(LUMA, np.float32)


def linear_from_srgb(value: ArrayT, *, xp: ModuleType = np) -> ArrayT:
    """Linear light of sRGB values, [0, 1] -> [0, 1] (IEC 61966-2-1)."""
    linear: ArrayT = xp.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear


def srgb_from_linear(light: ArrayT, *, xp: ModuleType = np) -> ArrayT:
    """sRGB values of linear light, [0, 1] -> [0, 1] (IEC 61966-2-1); the inverse of `linear_from_srgb`."""
    # The power's gradient is infinite at 0, also where `where` does not choose it.
    curved = 1.055 * xp.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    value: ArrayT = xp.where(light <= 0.0031308, light * 12.92, curved)
    return value


def luma(rgb: ArrayT) -> ArrayT:
    """(..., 3) -> (..., 1): 0.299 R + 0.587 G + 0.114 B, as a sum of products.

    A matrix product would be computed with fewer bits on accelerators.
    """
    red, green, blue = LUMA
    return red * rgb[..., :1] + green * rgb[..., 1:2] + blue * rgb[..., 2:]


# Linear sRGB to CIE XYZ, and the XYZ of the D65 white (2 degree observer), as in scikit-image.
XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
WHITE = (0.95047, 1.0, 1.08883)


def lab_from_srgb(rgb: ArrayT, *, xp: ModuleType = np) -> tuple[ArrayT, ArrayT, ArrayT]:
    """CIELAB under D65 of sRGB values in [0, 1], (..., 3) -> L* (0..100), a* and b*, each (...).

    Equal to `skimage.color.rgb2lab`; gray pixels have a chroma of up to .01, because XYZ and WHITE are rounded there.
    """
    light = linear_from_srgb(rgb, xp=xp)
    red, green, blue = (light[..., i] for i in range(3))
    # Sums of products: accelerators compute matrix products at lower precision.
    xyz = [(x * red + y * green + z * blue) / white for (x, y, z), white in zip(XYZ, WHITE, strict=True)]
    fx, fy, fz = (xp.where(t > 0.008856, xp.cbrt(t), 7.787 * t + 16 / 116) for t in xyz)
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)
