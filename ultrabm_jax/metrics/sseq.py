"""SSEQ (Liu et al. 2014) as in the authors' release with its models, in float64 on the host; lower is better.

MATLAB's rgb2gray at three scales (each half the size, rounded to integers) is divided into 8x8 blocks, padded with
zeros at the bottom and the right. Each block has two entropies: of its levels, and of the power of its DCT coefficients
without the mean. The features of a scale are, for both, the mean between the 20th and 80th percentile and the skewness
over all blocks. The 12 features are scaled to -1..1; a classifier gives the probability p of each of five distortions,
a regression the severity q of each; the value is 50 + 50 sum p q.

The release's function for the coefficients' entropy is not available; it was derived from features computed with it. A
coefficient without power counts as a share of 1e-8. The features agree to 1e-14, and to 1e-6 where blocks are exactly
flat and rounding decides.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.io import loadmat

from ultrabm_jax.metrics.host import gray, per_image
from ultrabm_jax.metrics.images import AssetFolder, check_size
from ultrabm_jax.metrics.libsvm import Classifier, Regressor
from ultrabm_jax.metrics.matlab_resize import halve
from ultrabm_jax.storage.assets import asset_path
from ultrabm_jax.typing import Array

BLOCK, SCALES = 8, 3
SMALLEST = BLOCK * 2**SCALES  # a smaller image has a single block at the last scale, and no skewness
LEAST_SHARE = 1e-8
GAMMA = 3  # index of LIBSVM's gamma in `Parameters`


def sseq(restored: Array, *, assets: AssetFolder = None) -> np.ndarray:
    """SSEQ, (b,); `assets` is a folder searched first for the models."""
    images = gray(restored)
    check_size("SSEQ", images, SMALLEST)
    low, high, classifier, regressors = _models(str(asset_path("sseq", folder=assets)))

    def score(image: np.ndarray) -> float:
        scaled = -1 + 2 * (features(image) - low) / (high - low)
        severities = np.array([regressor(scaled) for regressor in regressors])
        return float(50 + 50 * classifier(scaled) @ severities)

    return per_image(score, images)


def features(image: np.ndarray) -> np.ndarray:
    """(h, w) with integer values 0..255 -> (12,)."""
    values: list[float] = []
    for _ in range(SCALES):
        blocks = _blocks(image)
        for entropy in (_entropy_of_levels(blocks), _entropy_of_power(blocks)):
            ordered, count = np.sort(entropy), len(entropy)
            middle = ordered[int(np.ceil(0.2 * count)) - 1 : int(np.ceil(0.8 * count))]
            values += [float(middle.mean()), _skewness(entropy)]
        image = halve(image, as_uint8=True)
    return np.array(values)


def _skewness(x: np.ndarray) -> float:
    """Skewness of (n,); nan where all values are equal."""
    if x.min() == x.max():
        return float("nan")
    centred = x - x.mean()
    return float(np.mean(centred**3) / np.mean(centred**2) ** 1.5)


def _blocks(image: np.ndarray) -> np.ndarray:
    """(h, w) -> (blocks, 8, 8)."""
    image = np.pad(image, [(0, -side % BLOCK) for side in image.shape])
    rows, columns = (side // BLOCK for side in image.shape)
    return image.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK, BLOCK)


def _entropy_of_levels(blocks: np.ndarray) -> np.ndarray:
    """Entropy of the level histogram of each block, in bits, (blocks,)."""
    ordered = np.sort(blocks.reshape(len(blocks), -1), axis=1)
    pixels = ordered.shape[1]
    starts = np.flatnonzero(np.diff(ordered, axis=1, prepend=-1))  # starts of the runs of equal levels
    shares = np.diff(starts, append=ordered.size) / pixels
    return np.bincount(starts // pixels, weights=-shares * np.log2(shares), minlength=len(blocks))


def _entropy_of_power(blocks: np.ndarray) -> np.ndarray:
    """Entropy of the power of the 63 non-constant DCT coefficients of each block, in bits, (blocks,)."""
    dct = _dct_matrix()
    power = np.square(dct @ blocks @ dct.T).reshape(len(blocks), -1)[:, 1:]
    share = power / (power.sum(axis=1, keepdims=True) + np.finfo(np.float64).eps)
    share = np.where(share == 0, LEAST_SHARE, share)
    return -np.sum(share * np.log2(share), axis=1)


def _dct_matrix() -> np.ndarray:
    """The orthonormal DCT of 8 samples, (8, 8)."""
    k = np.arange(BLOCK)
    rows = np.sqrt(2 / BLOCK) * np.cos(np.pi * (2 * k + 1) * k[:, None] / (2 * BLOCK))
    rows[0] = np.sqrt(1 / BLOCK)
    return rows


@functools.lru_cache(maxsize=4)
def _models(path: str) -> tuple[np.ndarray, np.ndarray, Classifier, tuple[Regressor, ...]]:
    """Lowest and highest features, the classifier and the regressions from the release's MAT file (data only)."""
    tree = loadmat(
        path, struct_as_record=False, squeeze_me=True, variable_names=("fmin", "fmax", "svmmodel", "svrmodel")
    )
    classes = tree["svmmodel"]
    classifier = Classifier(
        vectors=classes.SVs.toarray(),
        coefficients=classes.sv_coef.T,
        counts=classes.nSV.astype(int),
        rho=classes.rho,
        slope=classes.ProbA,
        offset=classes.ProbB,
        gamma=float(classes.Parameters[GAMMA]),
    )
    regressors = tuple(
        Regressor(model.SVs.toarray(), model.sv_coef, float(model.rho), float(model.Parameters[GAMMA]))
        for model in tree["svrmodel"]
    )
    return tree["fmin"], tree["fmax"], classifier, regressors
