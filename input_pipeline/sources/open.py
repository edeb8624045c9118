"""From config.data to a source: find the files, look at their headers, refuse or leave out what is wrong.

With data.records set, the pairs come out of what `python -m input_pipeline.prepare` wrote (recorded.py).

Splits: "train" is the data set's training part. "eval" is data.eval_root if that is set (low/ and high/ folders, or
photos for `synthetic`), else the data set's own split data.eval_split.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from input_pipeline.cache import ArrayCache
from input_pipeline.files.layouts import LAYOUTS, find_pairs
from input_pipeline.files.listing import Defect, Listing, Pair, raise_on_defects
from input_pipeline.files.photos import find_photos
from input_pipeline.progress import Progress, no_progress
from input_pipeline.raw_pairs.sid_lists import find_sid
from input_pipeline.raw_pairs.source import RawPairs, pairs_of_folder
from input_pipeline.sources.base import ImagePair, Pairs, PairSource, fit_sizes
from input_pipeline.sources.extra_inputs import derive
from input_pipeline.sources.from_records import open_recorded
from input_pipeline.sources.lazy_images import ImageFile, Size
from input_pipeline.sources.patches import patch_sampler
from input_pipeline.sources.synthetic import NamedImage, SyntheticPairs
from input_pipeline.sources.unpaired import PairsWithPhotos, UnpairedImages
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import BadImage, read_rgb_uint8, read_size
from ultrabm_jax.image.resize import shrink

SID = {"sid_sony": ("sony", "bayer"), "sid_fuji": ("fuji", "xtrans")}  # camera, colour filter array
DATASETS = (*LAYOUTS, *SID, "synthetic")

Item = TypeVar("Item")
Result = TypeVar("Result")


def open_source(data: Any, *, scale: int, split: str = "train") -> PairSource:
    """The pairs of one split ("train" or "eval") of the data set that `data` (config.data) describes.

    With data.on_unreadable="error" only headers are read here, and a truncated file is found when its turn comes. With
    "skip" every file is decoded once here, so that the list of images, and with it every batch, stays fixed.
    """
    skip = data.on_unreadable == "skip"
    source, defects = inspect(data, scale=scale, split=split, decode=skip)
    bad = [defect.what for defect in defects if defect.kind == "unreadable"]
    raise_on_defects([defect for defect in defects if not (skip and defect.kind == "unreadable")])
    if any(len(part) == 0 for part in source.components()):
        raise UserError(f"data set: none of the {len(bad)} images can be read; the first: {bad[0]}")
    if bad:
        logging.warning("data.on_unreadable=skip: left out %d unreadable images: %s", len(bad), "; ".join(bad))
    return source


def inspect(
    data: Any, *, scale: int, split: str, decode: bool, progress: Progress = no_progress
) -> tuple[PairSource, list[Defect]]:
    """A source of what is usable, and every defect. `decode` reads whole images, not only their headers."""
    _check_options(data, split)
    source, defects = _inspect_pairs(data, scale=scale, split=split, decode=decode, progress=progress)
    if not data.photos or split != "train":
        return source, defects
    cache = ArrayCache(int(data.cache_gib * 2**30))
    files, more = find_photos(data.photos, split=split, option="data.photos")
    examine = partial(_examine_photo, scale=scale, decode=decode, cache=cache)
    photos, unusable = _each(examine, list(files.items()), data.workers, progress)
    return PairsWithPhotos(
        source, UnpairedImages(photos, factor=scale, patches=patch_sampler(data))
    ), defects + more + unusable


def _inspect_pairs(
    data: Any, *, scale: int, split: str, decode: bool, progress: Progress
) -> tuple[PairSource, list[Defect]]:
    if data.records and not (split == "eval" and data.eval_root):
        return open_recorded(data, scale=scale, split=split)
    cache = ArrayCache(int(data.cache_gib * 2**30))
    if data.dataset in SID:
        return _open_sid(data, split, cache)
    if data.dataset == "synthetic":
        files, defects = _list_photos(data, split)
        examine_photo = partial(_examine_photo, scale=scale, decode=decode, cache=cache)
        photos, more = _each(examine_photo, list(files.items()), data.workers, progress)
        return SyntheticPairs(photos, scale=scale, options=data.darkness, patches=patch_sampler(data)), defects + more
    listing = _list_pairs(data, split, scale)
    examine_pair = partial(_examine_pair, data=data, scale=scale, decode=decode, cache=cache)
    pairs, more = _each(examine_pair, listing.pairs, data.workers, progress)
    return Pairs(pairs, scale=scale, patches=patch_sampler(data)), listing.defects + more


def splits(data: Any) -> tuple[str, ...]:
    """The splits that this config can open."""
    if data.eval_root or data.records or data.root == "skimage":
        return ("train", "eval")
    own: Any = LAYOUTS[data.dataset].subsets if data.dataset in LAYOUTS else {}
    if data.dataset in SID:
        own = ("train", "val", "test")
    return ("train", "eval") if data.eval_split in own else ("train",)


def _check_options(data: Any, split: str) -> None:
    allowed = {"dataset": DATASETS, "downscale": ("auto", "never"), "on_unreadable": ("error", "skip")}
    for name, values in allowed.items():
        if name == "dataset" and data.records:
            continue  # any builder's name; its records are there or not
        if data[name] not in values:
            raise UserError(f"data.{name}={data[name]!r} is not known; choose one of: {', '.join(values)}")
    if split not in ("train", "eval"):
        raise UserError(f"split {split!r} is not known; choose train or eval")


def _open_sid(data: Any, split: str, cache: ArrayCache) -> tuple[PairSource, list[Defect]]:
    camera, cfa = SID[data.dataset]
    frames, defects = find_sid(data.root, camera=camera, split="train" if split == "train" else data.eval_split)
    pairs, more = pairs_of_folder(frames, cfa=cfa, cache=cache)
    return RawPairs(pairs, bayer_aug=data.bayer_aug), defects + more


def _list_pairs(data: Any, split: str, scale: int) -> Listing:
    if split == "eval" and data.eval_root:
        return find_pairs("paired", data.eval_root, option="data.eval_root", split="train", scale=scale)
    own = "train" if split == "train" else data.eval_split
    return find_pairs(data.dataset, data.root, split=own, scale=scale)


def _list_photos(data: Any, split: str) -> tuple[dict[str, Path], list[Defect]]:
    if split == "eval" and data.eval_root:
        return find_photos(data.eval_root, option="data.eval_root", split=split)
    if split == "eval" and data.root != "skimage":
        raise UserError("a folder of photos has no evaluation split: set data.eval_root to another folder")
    return find_photos(data.root, split=split)


def _each(
    examine: Callable[[Item], tuple[Result | None, list[Defect]]], items: list[Item], workers: int, progress: Progress
) -> tuple[list[Result], list[Defect]]:
    """What is usable of `items`, and all that is wrong with them."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        looked = list(progress(pool.map(examine, items), len(items)))
    return [result for result, _ in looked if result is not None], [defect for _, more in looked for defect in more]


def _look(path: Path, decode: bool) -> tuple[Size | None, list[Defect]]:
    try:
        height, width = read_rgb_uint8(path).shape[:2] if decode else read_size(path)
    except BadImage as error:
        return None, [Defect("unreadable", str(error))]
    return (height, width), []


def _examine_photo(
    item: tuple[str, Path], *, scale: int, decode: bool, cache: ArrayCache
) -> tuple[NamedImage | None, list[Defect]]:
    name, path = item
    size, defects = _look(path, decode)
    if size is None:
        return None, defects
    if min(size) < scale:
        return None, [Defect("sizes", f"{path}: {size[1]}x{size[0]} is too small for scale {scale}")]
    return NamedImage(name, ImageFile(path, size, cache)), []


def _examine_pair(
    pair: Pair, *, data: Any, scale: int, decode: bool, cache: ArrayCache
) -> tuple[ImagePair | None, list[Defect]]:
    low, defects = _look(pair.low, decode)
    reference, more = _look(pair.reference, decode)
    if low is None or reference is None:
        return None, defects + more
    try:
        size, shrunk = fit_sizes(low, reference, scale=scale, downscale=data.downscale)
    except UserError as error:
        return None, [Defect("sizes", f"{pair.low} and {pair.reference}: {error}")]
    read = partial(_read_shrunk, scale=scale) if shrunk else read_rgb_uint8
    used = ImageFile(pair.low, size, cache, read)
    extra = derive(data.extra_inputs, used, key=pair.low, cache=cache)
    return ImagePair(pair.name, used, ImageFile(pair.reference, reference, cache), pair.group, extra), []


def _read_shrunk(path: Path, *, scale: int) -> np.ndarray:
    return shrink(read_rgb_uint8(path), scale)
