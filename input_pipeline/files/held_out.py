"""data.holdout: which training images are held out for validation, or for a test, where a data set has no such split.

Whole scenes are held out, so that no image of a held-out split shows a scene of the training images. With
data.holdout_by="image", single images are held out whose scene has other images in training: such a validation set
resembles a test set of known scenes. LOL's is one: 14 of the 15 scenes of eval15 are also in our485.

The choice depends only on the names of the images and on which of them show one scene: scenes are named after their
first image and taken in the order of the SHA-256 of "SALT/SCENE", images in that of "SALT/IMAGE".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from input_pipeline.files.layouts import RELLISUR_NAME
from input_pipeline.files.listing import Pair, natural_key
from input_pipeline.files.scenes import estimate_scenes, find_scenes, take_scenes
from input_pipeline.sampling import by_hash
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger

# Images of LOL's our485 that show the scene of a test image (measured with scenes.py). Their scenes are not held out,
# so that choosing a checkpoint on validation images does not choose it on test scenes. The test images are not read.
LOL_TEST_SCENES = frozenset(
    map(
        str,
        (2, 21, 24, 53, 54, 56, 80, 81, 82, 112, 113, 114, 143, 144, 145, 494, 546, 664, 668, 747, *range(775, 780)),
    )
)
UNITS = ("scene", "image")  # values of data.holdout_by
MAX_ESTIMATED = 5000  # images; each is compared with all others


def hold_out(
    scenes: Mapping[str, str], *, shares: Sequence[float], split: str, dataset: str, by: str = "scene"
) -> set[str]:
    """The names of the images of one split: "train", "val" or "test". `scenes`: the scene of each image, by name.

    `shares`, (val, test), are config.data.holdout: val holds at most this share of the images, but at least one scene
    (or image), and so does test. `by` is config.data.holdout_by. Raises UserError for shares without a meaning, and if
    no image is left for the split.
    """
    check_shares(shares)
    if by not in UNITS:
        raise UserError(f"data.holdout_by={by!r} is not known; choose one of: {', '.join(UNITS)}")
    share = dict(zip(("val", "test"), shares, strict=True))
    if split != "train" and not share.get(split):
        held = ", ".join(name for name, value in share.items() if value)
        raise UserError(f"data.holdout={tuple(shares)!r} holds out no {split!r} images; data.eval_split can be: {held}")
    if not scenes:
        return set()  # the listing has a defect that says why
    first: dict[str, str] = {}  # image of each scene; records of LOL may name a scene after a test image
    for name in sorted(scenes, key=natural_key):
        first.setdefault(scenes[name], name)
    images = {name: first[scene] for name, scene in scenes.items()}
    lol = dataset in ("lol", "lol/v1", "lol_drgn", "lol/v1_drgn")
    kept = {images[name] for name in LOL_TEST_SCENES if name in images} if lol else set()
    if by == "image":
        return _hold_out_images(images, share, kept=kept, split=split)
    rest = set(images.values())
    splits: dict[str, set[str]] = {}
    for name, value in share.items():
        most = max(1, int(value * len(images) + 1e-9)) if value else 0  # .29 * 100 is 28.999...
        salt = f"lol_{name}" if lol else name  # as the records lol/v1_scenes
        splits[name] = take_scenes(list(images.values()), rest - kept, most=most, salt=salt)
        rest = rest - splits[name]
    splits["train"] = rest
    if not splits[split]:
        count = len(first)
        raise UserError(f"data.holdout={tuple(shares)!r} leaves no {split!r} images: the number of scenes is {count}")
    return {name for name, scene in images.items() if scene in splits[split]}


def _hold_out_images(
    images: Mapping[str, str], share: Mapping[str, float], *, kept: Collection[str], split: str
) -> set[str]:
    """Holds out single images; each scene keeps at least one image for training, and gives a split at most one."""
    left = Counter(images.values())
    splits: dict[str, set[str]] = {}
    rest = set(images)
    for name, value in share.items():
        most = max(1, int(value * len(images) + 1e-9)) if value else 0
        chosen: dict[str, str] = {}  # scene: image
        for image in by_hash(rest, salt=f"image_{name}"):
            scene = images[image]
            if len(chosen) < most and scene not in chosen and scene not in kept and left[scene] > 1:
                chosen[scene] = image
                left[scene] -= 1
        splits[name] = set(chosen.values())
        rest -= splits[name]
    splits["train"] = rest
    if not splits[split]:
        raise UserError(
            f"data.holdout_by=image leaves no {split!r} images: no scene has several images; use holdout_by=scene"
        )
    return splits[split]


def check_shares(shares: Sequence[float]) -> None:
    """Raises UserError unless `shares` are (val, test) of data.holdout."""
    if min(shares) < 0 or sum(shares) >= 1:
        raise UserError(f"data.holdout={tuple(shares)!r} must be the shares of val and test, which add up to below 1")


def scenes_of_pairs(dataset: str, pairs: Sequence[Pair]) -> dict[str, str]:
    """The scene of each pair of a folder, by name: published, or estimated from the references."""
    if dataset == "rellisur":
        matches = {pair.name: RELLISUR_NAME.fullmatch(pair.name) for pair in pairs}
        return {name: name if match is None else match[1] for name, match in matches.items()}
    return scenes_of_files({pair.name: pair.reference for pair in pairs})


def scenes_of_files(files: Mapping[str, Path]) -> dict[str, str]:
    """The estimated scene of each image file, by name."""
    return _ungrouped(files) if len(files) > MAX_ESTIMATED else dict(_estimate(tuple(files.items())))


def scenes_of_images(images: Mapping[str, Callable[[], np.ndarray]]) -> dict[str, str]:
    """The estimated scene of each image, by name. `images`: functions that read uint8 RGB."""
    return _ungrouped(images) if len(images) > MAX_ESTIMATED else estimate_scenes(images)


@lru_cache(maxsize=1)  # the training and the validation split are opened one after the other
def _estimate(files: tuple[tuple[str, Path], ...]) -> Mapping[str, str]:
    return find_scenes(dict(files))


def _ungrouped(names: Mapping[str, object]) -> dict[str, str]:
    logger.info("note: %d images are too many to find those of one scene; single images are held out", len(names))
    return {name: name for name in names}
