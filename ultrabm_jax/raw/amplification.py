"""How much to amplify a dark raw mosaic: from its own values (RED, section 3.2) or from the exposure times.

    amplification_mean   m / mean(x)                                         equation 4, the ablation
    amplification_paper  m * sum(w) / sum(w x), m = 0.5                      equations 5 to 7
    amplification_code   amp_factor * sum(w) / sum(w x), within [1, 300]     the released code
    exposure_ratio       reference exposure / exposure, at most 300          equation 3, SID's and RED's training

x are the samples of a whole mosaic, 0 at the black level and 1 at the white level, of any shape. The weights w decrease
with x, so that saturated highlights do not count; they are constant within bins of equal width in log x. The network's
input is x times the result, not clipped. Everything is computed in float64 on the host, once per image: all tiles of an
image must share one amplification.

The text of equation 6 is garbled. We read it such that the last edge is 1: b_k = 2^(8k/n) / 2^8, b_0 = 0.
The release's 0.01 * amp, with amp = 1 (demonstration) and amp = 5 (training file), is `amp_factor`; its demonstration
multiplies the amplified mosaic by 1, 5 or 8. The paper's m = 0.5 corresponds to amp = 50 by that formula, while a
comment in the training file puts it at amp = 5.

Edge cases, beyond the sources: an all-black mosaic has no finite amplification and gets 300, as the release's clamp
does; if no sample is in any bin (all saturated) the release returns NaN, here 1. In the paper's bins x = 0 belongs
to the first one.
"""

from __future__ import annotations

import numpy as np

from ultrabm_jax.errors import UserError

AUTOMATIC = ("auto", "paper", "mean")  # kinds of `amplification` that depend on the mosaic
TRAINING_FACTOR = 0.05  # amp_factor of the release's training file
BURNT_OUT = 0.1  # share of samples; dark files have less
MAX_AMPLIFICATION = 300.0  # the largest of SID's exposure ratios
# Rounded to float32 where the release does: a sample that equals an edge belongs to the bin above it.
CODE_EDGES = (2.0 ** (8 * np.arange(128) / 127) - 1).astype(np.float32) / np.float32(255)  # bin j is [e_j, e_j+1)
CODE_WEIGHTS = (10.0 ** (5 * np.arange(127) / 126)).astype(np.float32)[::-1] / np.float32(1e5)  # 1 (darkest) ... 1e-5


def amplification_paper(mosaic: np.ndarray, *, m: float = 0.5, bins: int = 128) -> float:
    """m over the weighted mean; `m` is the brightness that the user may choose, 0.5 the paper's."""
    x = _samples(mosaic)
    edges = 2.0 ** (8 * np.arange(1, bins + 1) / bins) / 256  # b_1 ... b_n
    weights = 2.0 ** (8 * np.arange(bins, 0, -1) / bins) / 256
    indices = np.minimum(np.searchsorted(edges, x, side="left"), bins - 1)  # b_k-1 < x <= b_k
    return _amplification(m, x, indices, weights)


def amplification_code(mosaic: np.ndarray, *, amp_factor: float = 0.01) -> float:
    """The released definition; 0.01 is its demonstration's factor."""
    x = _samples(mosaic)
    indices = np.searchsorted(CODE_EDGES, x, side="right") - 1  # e_j <= x < e_j+1; 1 and more are in no bin
    return float(np.clip(_amplification(amp_factor, x, indices, np.append(CODE_WEIGHTS, 0)), 1, MAX_AMPLIFICATION))


def amplification_mean(mosaic: np.ndarray, *, m: float = 0.5) -> float:
    """m over the plain mean, which saturated lights raise."""
    x = _samples(mosaic)
    return _amplification(m, x, np.zeros(x.shape, int), np.ones(1))


def amplification(kind: str | float, mosaic: np.ndarray, m: float | None = None) -> float:
    """The factor by which a normalised mosaic is multiplied.

    kind        without m                                          with m
    "auto"      amplification_code with amp_factor 0.05            m * amplification_code
    "paper"     amplification_paper with its m = 0.5               amplification_paper with m
    "mean"      amplification_mean with m = 0.5                    amplification_mean with m
    a number    that number, an exposure ratio for example         m times that number

    "auto" with m = 1, 5, 8 is the release's demonstration; without m it is the release's training file. Both agree at
    m = 5 for dark files, but a file that is bright already (amplification 1) is not multiplied by 5.
    """
    if kind == "auto":
        return amplification_code(mosaic, amp_factor=TRAINING_FACTOR) if m is None else m * amplification_code(mosaic)
    if kind in ("paper", "mean"):
        amplify = amplification_paper if kind == "paper" else amplification_mean
        return amplify(mosaic) if m is None else amplify(mosaic, m=m)
    return float(kind) if m is None else m * float(kind)


def burnt_out_notes(mosaic: np.ndarray, factor: float) -> list[str]:
    """A note if `factor` makes more than `BURNT_OUT` of the samples white, as of a file that is not dark."""
    share = float(np.mean((mosaic < 1) & (mosaic * np.float32(factor) >= 1)))
    return (
        [f"the amplification burns out {share:.0%} of the image; give --m a smaller number"]
        if share > BURNT_OUT
        else []
    )


def parse_amplification(text: str) -> tuple[str, float | None]:
    """A name of config.eval.amplify, KIND or KIND:M, with KIND "ratio" (of exposures) or one of `AUTOMATIC`.

    Raises UserError for another kind, or unless M is a number above 0.
    """
    kind, colon, number = text.partition(":")
    try:
        m = float(number) if colon else None
    except ValueError:
        m = 0.0
    if kind not in ("ratio", *AUTOMATIC) or (m is not None and not 0 < m < np.inf):
        known = ", ".join(("ratio", *AUTOMATIC))
        raise UserError(f"eval.amplify: {text!r} is not one of {known}, nor one with a brightness m as in 'paper:0.1'")
    return kind, m


def exposure_ratio(exposure: float, reference_exposure: float) -> float:
    """min(reference_exposure / exposure, 300), both in seconds: SID's and RED's amplification for training.

    SID's file names give 100, 250 and 300 (303 before the limit, for 0.033 s).
    """
    if not (exposure > 0 and reference_exposure > 0):
        raise UserError(f"exposures must be seconds above 0, not {exposure} and {reference_exposure}")
    return min(reference_exposure / exposure, MAX_AMPLIFICATION)


def _samples(mosaic: np.ndarray) -> np.ndarray:
    """Flat float64, negative values as 0."""
    x = np.maximum(np.asarray(mosaic, np.float64).ravel(), 0)
    if not x.size or not np.isfinite(x).all():
        raise UserError("an amplification needs a mosaic of finite samples, 0 at black and 1 at white")
    return x


def _amplification(factor: float, x: np.ndarray, indices: np.ndarray, weights: np.ndarray) -> float:
    """factor * sum(w) / sum(w x) with w = weights[indices]; summed over bins instead of samples."""
    counts = np.bincount(indices, minlength=len(weights))
    sums = np.bincount(indices, weights=x, minlength=len(weights))
    total, weighted = float(counts @ weights), float(sums @ weights)
    if total == 0:
        return 1.0
    return factor * total / weighted if weighted > 0 else MAX_AMPLIFICATION
