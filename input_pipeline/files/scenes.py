"""Estimates which images show the same scene, for data sets without scene labels, from their references.

Two images are of one scene if the fine structure of their thumbnails correlates: a gray 48x32 thumbnail minus its
own 12x8 version, normalised. The coarse part is removed because many unrelated images of LOL have the same coarse
distribution of brightness. Scenes are the connected components of pairs above THRESHOLD.

Measured on LOL v1 (455 of the 485 training references and all 15 test references): except for one table top, images of
one scene correlate by .927 to 1, and images of different scenes by at most .388. The 14 test images whose scene is
also in the training set correlate with every training image of that scene by at least .958, and with all others by at
most .26.
On the table top (468 to 497), where objects were rearranged between images, correlations fill the range from .40 to
.99; above .5 they count as one scene, because a network that has seen one has seen most of the other. The rule does
not recognise one place seen from another viewpoint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from input_pipeline.files.listing import natural_key
from input_pipeline.sampling import by_hash
from ultrabm_jax.image import BadImage, read_rgb_uint8

FINE, COARSE = (48, 32), (12, 8)  # width, height of the thumbnails
THRESHOLD = 0.5


def find_scenes(references: Mapping[str, Path]) -> dict[str, str]:
    """{name: scene} of image files; see `estimate_scenes`."""
    return estimate_scenes({name: partial(read_rgb_uint8, path) for name, path in references.items()})


def estimate_scenes(images: Mapping[str, Callable[[], np.ndarray]]) -> dict[str, str]:
    """{name: scene}; a scene is named after its first image in natural order. `images`: functions that read uint8 RGB.

    An image that cannot be read is a scene by itself; reading it as an example reports it.
    """
    names = sorted(images, key=natural_key)
    with ThreadPoolExecutor(4) as pool:
        structures = list(pool.map(lambda name: _structure_of(images[name]), names))
    return dict(zip(names, (names[first] for first in components(correlations(structures))), strict=True))


def fine_structure(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 -> a vector of length 1 that holds the details of a thumbnail; 0 for a flat image."""
    gray = Image.fromarray(image).convert("L").resize(FINE, Image.Resampling.BOX)
    coarse = gray.resize(COARSE, Image.Resampling.BOX).resize(FINE, Image.Resampling.BICUBIC)
    detail = (np.asarray(gray, np.float64) - np.asarray(coarse, np.float64)).ravel()
    detail -= detail.mean()
    return detail / max(float(np.linalg.norm(detail)), 1e-9)


def take_scenes(images: Sequence[str], candidates: Collection[str], *, most: int, salt: str) -> set[str]:
    """Some of the candidate scenes with at most `most` images together, but at least one scene unless `most` is 0.

    `images` has the scene of each image. Scenes are taken in the order of SHA-256 of "salt/SCENE".
    """
    sizes = Counter(images)
    chosen: set[str] = set()
    count = 0
    for scene in by_hash(candidates, salt=salt):
        if count + sizes[scene] <= most or (most and not chosen):
            chosen.add(scene)
            count += sizes[scene]
    return chosen


def _structure_of(read: Callable[[], np.ndarray]) -> np.ndarray:
    try:
        return fine_structure(read())
    except BadImage:
        return np.zeros(FINE[0] * FINE[1])  # correlates with no image


def correlations(structures: Sequence[np.ndarray]) -> np.ndarray:
    """(n, n)."""
    stacked = np.stack(structures)
    return stacked @ stacked.T


def components(similar: np.ndarray, *, threshold: float = THRESHOLD) -> list[int]:
    """For each image the lowest number in its connected component of pairs above the threshold (union-find)."""
    parent = list(range(len(similar)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in np.argwhere(np.triu(similar, 1) > threshold).tolist():
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    return [root(i) for i in range(len(similar))]
