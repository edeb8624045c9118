"""Opens the source that config.data describes, and rejects or skips defective files.

With data.records set, pairs are read from what `python -m input_pipeline.prepare` wrote (from_records.py). With
data.mixture set, there are several data sets (members.py, mixture.py).

splits.py defines the splits train, val, test and eval. data.eval_root is a folder with low/ and high/, or of photos for
`synthetic`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from ml_collections import ConfigDict

from input_pipeline.files.held_out import scenes_of_files, scenes_of_pairs
from input_pipeline.files.layouts import LAYOUTS, find_pairs
from input_pipeline.files.listing import Defect, Listing, MissingData, raise_on_defects
from input_pipeline.files.photos import find_photos
from input_pipeline.object_stores import local_data
from input_pipeline.progress import Progress, no_progress
from input_pipeline.raw_pairs.eld import ELD, find_eld
from input_pipeline.raw_pairs.sid_lists import CFA, SID, find_sid
from input_pipeline.raw_pairs.source import RawPairs, pairs_of_folder
from input_pipeline.sources.base import PairSource
from input_pipeline.sources.datasets import DATASETS, FOLDER, UNDIVIDED
from input_pipeline.sources.from_files import Examiner
from input_pipeline.sources.from_records import open_recorded
from input_pipeline.sources.lazy_images import ArrayCache
from input_pipeline.sources.members import eval_members, read_members
from input_pipeline.sources.mixture import MixedSource, Mixture
from input_pipeline.sources.pairs import Pairs
from input_pipeline.sources.patches import patch_sampler
from input_pipeline.sources.splits import SPLITS, held_out_names, holds_out, name_split
from input_pipeline.sources.synthetic import SyntheticPairs
from input_pipeline.sources.unpaired import PairsWithPhotos, UnpairedImages
from input_pipeline.sources.unreferenced import LowImages
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger


def open_source(data: ConfigDict, *, scale: int, split: str = "train", left_out: list[str] | None = None) -> PairSource:
    """Opens one split (train, val, test or eval: splits.py) of the data set that `data` (config.data) describes.

    With data.on_unreadable="error", only headers are read here, and a truncated file raises when it is decoded. With
    "skip", every file is decoded once here, so that the list of images, and with it every batch, stays fixed. Raises
    UserError on any other defect. Data in an object store are copied to a local disk first (object_stores/).

    left_out: if given, a file whose header cannot be read does not raise with "error" either, but is added here.
    """
    data = local_data(data, scale=scale, splits=(split,))
    skip = data.on_unreadable == "skip"
    source, defects = inspect(data, scale=scale, split=split, decode=skip)
    unreadable = [defect.what for defect in defects if defect.kind == "unreadable"]
    ignored = skip or left_out is not None
    raise_on_defects([defect for defect in defects if not (ignored and defect.kind == "unreadable")])
    components = source.components()
    if any(len(part) == 0 for component in components for part in component.parts()):
        raise UserError(f"data set: none of the {len(unreadable)} images can be read; the first: {unreadable[0]}")
    if left_out is not None and not skip:
        left_out += unreadable
    elif unreadable:
        files = "; ".join(unreadable)
        logging.warning("data.on_unreadable=skip: left out %d unreadable images: %s", len(unreadable), files)
    if data.mixture:
        use = "training" if split == "train" else "evaluation"
        logger.info("%s images: %s", use, _describe_members(data, components[0], split))
    return source


def inspect(
    data: ConfigDict, *, scale: int, split: str, decode: bool, progress: Progress = no_progress
) -> tuple[PairSource, list[Defect]]:
    """Returns a source of all usable examples, and all defects; `decode` decodes files instead of reading headers."""
    if data.mixture and not (split != "train" and data.eval_root):
        source, defects = _open_members(data, scale=scale, split=split, decode=decode, progress=progress)
    else:
        own = shared_evaluation(data) if data.mixture else data
        _check_options(own, split)
        source, defects = _open_pairs(own, scale=scale, split=split, decode=decode, progress=progress)
    if not data.photos or split != "train":
        return source, defects
    files, more = find_photos(data.photos, split=split, option="data.photos")
    photos, unusable = Examiner(data, scale, decode, _new_cache(data), progress).images(files)
    unpaired = UnpairedImages(photos, factor=scale, patches=patch_sampler(data))
    return PairsWithPhotos(source, unpaired), defects + more + unusable


def shared_evaluation(data: ConfigDict) -> ConfigDict:
    """config.data of the evaluation images data.eval_root of a mixture: pairs in a folder."""
    own: ConfigDict = data.copy_and_resolve_references()
    with own.unlocked():
        own.update({"mixture": (), "dataset": "paired", "root": "", "records": "", "holdout": (0.0, 0.0)})
    return own


def splits(data: ConfigDict, *, scale: int) -> tuple[str, ...]:
    """The splits that this config can open: train, eval, and val if it is held out of train and is not eval."""
    if data.dataset in (FOLDER, *ELD) and not data.records:
        return ("eval",)
    name = name_split(data, "eval")
    held_out = [split for split in ("val", "test") if holds_out(data, split, scale=scale)]
    val = ("val",) if "val" in held_out and name != "val" else ()
    if data.eval_root or data.records or data.root == "skimage":
        return ("train", *val, "eval")
    known: Collection[str] = ("train",)
    if data.dataset in SID:
        known = SPLITS
    elif data.dataset in LAYOUTS:
        known = LAYOUTS[data.dataset].subsets
    train = () if data.dataset in LAYOUTS and "train" not in known else ("train", *val)
    return (*train, "eval") if name in (*known, *held_out) else train


def _open_pairs(
    data: ConfigDict, *, scale: int, split: str, decode: bool, progress: Progress
) -> tuple[PairSource, list[Defect]]:
    if data.records and not (split != "train" and data.eval_root):
        return open_recorded(data, scale=scale, split=split)
    cache = _new_cache(data)
    if data.dataset in SID:
        return _open_sid(data, split, cache)
    if data.dataset in ELD:
        return _open_eld(data, split, cache)
    examiner = Examiner(data, scale, decode, cache, progress)
    if data.dataset == FOLDER:
        if split == "train":
            raise UserError(f"data.dataset={FOLDER}: images without references cannot be used for training")
        option = "data.eval_root" if data.eval_root else "data.root"
        files, defects = find_photos(data.eval_root or data.root, split="eval", option=option)
        images, more = examiner.images(files)
        return LowImages([(image.name, image.pixels, None) for image in images], scale=scale), defects + more
    if data.dataset == "synthetic":
        files, defects = _list_photos(data, split)
        images, more = examiner.images(files)
        return SyntheticPairs(images, scale=scale, options=data.darkness, patches=patch_sampler(data)), defects + more
    listing = _list_pairs(data, split, scale)
    pairs, more = examiner.pairs(listing.pairs)
    if examiner.shrunk and split == "train" and data.dataset == "paired":
        logger.warning(
            "%d low images are as large as their references and are shrunk by %d: the model learns to enlarge; to keep "
            "the size, train a model of scale 1 (configs/pairs_x1.py), and data.downscale=never refuses such pairs",
            len(examiner.shrunk),
            scale,
        )
    return Pairs(pairs, scale=scale, patches=patch_sampler(data)), listing.defects + more


def _open_members(
    data: ConfigDict, *, scale: int, split: str, decode: bool, progress: Progress
) -> tuple[PairSource, list[Defect]]:
    """The mixture of data.mixture; for the evaluation, of the members that it uses, without weights."""
    members = read_members(data) if split == "train" else eval_members(data)
    opened: list[MixedSource] = []
    defects: list[Defect] = []
    for member in members:
        try:
            source, found = inspect(member.data, scale=scale, split=split, decode=decode, progress=progress)
        except UserError as error:
            hint = "" if split == "train" else "; data.eval_members names the members to evaluate"
            kind = MissingData if isinstance(error, MissingData) else UserError
            raise kind(f"data.mixture: {member.name}: {error}{hint}") from error
        opened.append(MixedSource(member.name, member.share, source))
        defects += found
    return (opened[0].pairs if split != "train" and len(opened) == 1 else Mixture(opened)), defects


def _describe_members(data: ConfigDict, source: PairSource, split: str) -> str:
    """The images of each member and, for training, its weight: a line of the log."""
    if not isinstance(source, Mixture):
        name = data.eval_root or eval_members(data)[0].name
        return f"{name} {len(source)}"
    weights = [f" (weight {member.share:.3g})" if split == "train" else "" for member in source.members]
    counts = [f"{member.name} {len(member.pairs)}" for member in source.members]
    return ", ".join(count + weight for count, weight in zip(counts, weights, strict=True))


def _new_cache(data: ConfigDict) -> ArrayCache:
    return ArrayCache(int(data.cache_gib * 2**30))


def _check_options(data: ConfigDict, split: str) -> None:
    allowed = {"dataset": DATASETS, "downscale": ("auto", "never"), "on_unreadable": ("error", "skip")}
    for name, values in allowed.items():
        if name == "dataset" and data.records:
            continue  # the name of any builder; open_records raises if it has no records
        if data[name] not in values:
            raise UserError(f"data.{name}={data[name]!r} is not known; choose one of: {', '.join(values)}")
    name_split(data, split)  # raises UserError for an unknown name
    if data.holdout[1] and (data.dataset not in UNDIVIDED or data.root == "skimage"):
        raise UserError(
            f"data.holdout: only folders without splits ({', '.join(UNDIVIDED)}) can hold out test images; "
            f"{data.dataset} has a test split: set the second share to 0"
        )


def _open_sid(data: ConfigDict, split: str, cache: ArrayCache) -> tuple[PairSource, list[Defect]]:
    camera = SID[data.dataset]
    name = name_split(data, split)
    divided = holds_out(data, name, scale=1)
    used = "train" if divided else name
    options = {"bursts": data.bursts, "leave_out": data.leave_out}
    frames, defects = find_sid(data.root, camera=camera, split=used, **options)
    if not frames and not defects:
        chosen = ", ".join(f"data.{name}={value}" for name, value in options.items())
        raise UserError(f"no frame of SID's {used} list remains with {chosen}")
    if divided:
        names = held_out_names(data, name, {frame.name: frame.scene for frame in frames})
        frames = [frame for frame in frames if frame.name in names]
    pairs, more = pairs_of_folder(frames, cfa=CFA[camera], cache=cache)
    return RawPairs(pairs, bayer_aug=data.bayer_aug), defects + more


def _open_eld(data: ConfigDict, split: str, cache: ArrayCache) -> tuple[PairSource, list[Defect]]:
    if name_split(data, split) != "test":
        raise UserError(f"data.dataset={data.dataset}: ELD has test images only, for eval.py")
    frames, defects = find_eld(data.root, dataset=data.dataset)
    pairs, more = pairs_of_folder(frames, cfa="bayer", cache=cache)
    return RawPairs(pairs, bayer_aug=data.bayer_aug), defects + more


def _list_pairs(data: ConfigDict, split: str, scale: int) -> Listing:
    if split != "train" and data.eval_root:
        return find_pairs("paired", data.eval_root, option="data.eval_root", split="train", scale=scale)
    name = name_split(data, split)
    if not holds_out(data, name, scale=scale):
        return find_pairs(data.dataset, data.root, split=name, scale=scale)
    listing = find_pairs(data.dataset, data.root, split="train", scale=scale)
    names = held_out_names(data, name, scenes_of_pairs(data.dataset, listing.pairs))
    return Listing([pair for pair in listing.pairs if pair.name in names], listing.defects)


def _list_photos(data: ConfigDict, split: str) -> tuple[dict[str, Path], list[Defect]]:
    if split != "train" and data.eval_root:
        return find_photos(data.eval_root, option="data.eval_root", split="eval")
    name = name_split(data, split)
    if holds_out(data, name, scale=1):
        files, defects = find_photos(data.root, split="train")
        names = held_out_names(data, name, scenes_of_files(files))
        return {file: path for file, path in files.items() if file in names}, defects
    if name == "train":
        return find_photos(data.root, split="train")
    if name == "test" and data.root == "skimage":
        return find_photos(data.root, split="eval")
    raise UserError(f"a folder of photos has no {name} split: set data.eval_root to another folder, or data.holdout")
