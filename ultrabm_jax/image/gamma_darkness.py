"""Synthetic darkness by a gamma curve and noise: low = clip(beta * (alpha * x)**gamma), photon noise, read noise.

    x      reference in [0, 1] (sRGB values, as in MBLLEN, not linear light)
    alpha  U(0.9, 1)      beta  U(0.5, 1)      gamma  U(1.5, 5)
    noise  Poisson with 200 photons at white, then Gaussian with sigma U(0, 0.03); clip; 8 bits

The data set `coco_dark` uses it; `darkness.py` has the model of a camera's exposure that `synthetic` uses. DRGN trains
on 24,700 pairs made from COCO, tests on 1,000, and publishes no recipe. This one is from MBLLEN (Lv et al., BMVC 2018),
the source of the VOC144 test set that DRGN also uses. Deviation from MBLLEN: the Gaussian term.

PSNR of low to reference on 124 images that are not from COCO (the 24 of Kodak, 100 of BSDS500): mean 9.6 dB, standard
deviation 2.4; DRGN states 11.58 dB for its own 1,000 pairs. The default range of gamma is MBLLEN's, as COCO was not
available; `python -m ultrabm_jax.tools.calibrate_gamma` finds the range that gives 11.58 dB on a folder of photos.
"""

from __future__ import annotations

import numpy as np

ALPHA, BETA, GAMMA = (0.9, 1.0), (0.5, 1.0), (1.5, 5.0)
PEAK = 200.0  # photons at white
SIGMA = (0.0, 0.03)
COCO_SALT, COCO_SEED = "coco_dark", 0  # choose the photos and the draws of the data set `coco_dark`


def darken_by_gamma(
    reference: np.ndarray, rng: np.random.Generator, *, gamma: tuple[float, float] = GAMMA
) -> np.ndarray:
    """(h, w, 3) uint8 -> (h, w, 3) uint8; a pure function of the image and the generator's state.

    `gamma`: the limits of the exponent.
    """
    alpha, beta, exponent, sigma = (rng.uniform(*limits) for limits in (ALPHA, BETA, gamma, SIGMA))
    curve = np.clip(beta * (alpha * np.arange(256) / 255) ** exponent, 0.0, 1.0)
    photons = rng.poisson(PEAK * curve[reference])
    low = photons / PEAK + sigma * rng.standard_normal(reference.shape)
    return np.rint(np.clip(low, 0.0, 1.0) * 255).astype(np.uint8)
