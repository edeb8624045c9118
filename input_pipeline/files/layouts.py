"""Folder layouts of published paired data sets, and where to get each of them.

  paired     ROOT/low/NAME.*, ROOT/high/NAME.*
  lol        ROOT/{our485,eval15}/{low,high}/N.*                     LOL v1 (Wei et al., BMVC 2018)
  rellisur   ROOT/{Train,Val,Test}/LLLR/NNNNN-E.E.png                dark, scene id and exposure in EV
             ROOT/{Train,Val,Test}/NLHR-Duplicates/X{1,2,4}/NNNNN-E.E.png   or, without the duplicates,
             ROOT/{Train,Val,Test}/NLHR/X{1,2,4}/NNNNN.png           RELLISUR (Aakerberg et al., NeurIPS D&B 2021)
  rellisur_sr       its normal-light images: X1 as input, X2 or X4 as reference; one pair for each scene
  lol_drgn          LOL v1 with five images of our485, chosen by hash, in the test: 480 and 20 pairs (DRGN)
  lol1000, test148, voc144    ROOT/{low,high}/NAME.*             test sets of DRGN
  lol_v2_real       ROOT/Real_captured/{Train,Test}/Low/lowNNNNN.*, Normal/normalNNNNN.*
  lol_v2_synthetic  ROOT/Synthetic/{Train,Test}/{Low,Normal}/NAME.*  LOL v2 (Yang et al., TIP 2021)

Any image format is accepted, so re-encoded copies of a data set work.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from input_pipeline.files.listing import (
    Defect,
    Listing,
    MissingData,
    Pair,
    images_by_stem,
    natural_key,
    pair_folders,
    unpaired,
)
from input_pipeline.sampling import by_hash
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.listing import is_folder, list_folder, similar_folder

DRGN_MOVED = 5  # images of our485 that lol_drgn tests on
RELLISUR_NAME = re.compile(r"(\d{5})(-\d\.\d)")


@dataclass(frozen=True)
class Layout:
    """How the files of a data set are laid out.

    find: lists the pairs of one split's folder for a scale.
    subsets: the folder of each split below the root.
    tree, get: the layout and the source of the data set, for error messages.
    counts: the published number of pairs of each split. Subsets are allowed, so a difference is only a warning.
    """

    find: Callable[[Path, int], Listing]
    subsets: dict[str, str]
    tree: str
    get: str
    counts: dict[str, int] = field(default_factory=dict)


def find_paired(folder: Path, scale: int) -> Listing:
    """Pairs low/NAME with high/NAME; a missing folder is replaced by the only one with a synonym, as input/ and gt/."""
    low, high = (folder / name for name in ("low", "high"))
    return pair_folders(*(path if is_folder(path) else similar_folder(path) or path for path in (low, high)))


def find_lol_drgn(folder: Path, scale: int) -> Listing:
    """LOL v1 in the sizes that DRGN states: five images of our485, chosen by hash, belong to eval15."""
    train = find_paired(folder.parent / "our485", scale)
    moved = set(by_hash((pair.name for pair in train.pairs), salt="lol_drgn")[:DRGN_MOVED])
    if folder.name == "our485":
        return Listing([pair for pair in train.pairs if pair.name not in moved], train.defects)
    test = find_paired(folder, scale)
    pairs = [*test.pairs, *(pair for pair in train.pairs if pair.name in moved)]
    return Listing(sorted(pairs, key=lambda pair: natural_key(pair.name)), train.defects + test.defects)


def find_rellisur(folder: Path, scale: int) -> Listing:
    """Pairs each dark image with the reference of its scene at the given scale; the group is the exposure in EV."""
    if scale not in (1, 2, 4):
        raise UserError(f"RELLISUR has references at scales 1, 2 and 4, not {scale}")
    duplicates = folder / "NLHR-Duplicates" / f"X{scale}"
    if duplicates.is_dir():
        listing = pair_folders(folder / "LLLR", duplicates)
    else:
        listing = _pair_by_scene(folder / "LLLR", folder / "NLHR" / f"X{scale}")
    pairs = []
    for pair in listing.pairs:
        match = RELLISUR_NAME.fullmatch(pair.name)
        if match is None:
            listing.defects.append(Defect("bad name", f"{pair.low} (expected NNNNN-E.E)"))
        else:
            pairs.append(Pair(pair.name, pair.low, pair.reference, group=match[2]))
    return Listing(pairs, listing.defects)


def _pair_by_scene(low: Path, reference: Path) -> Listing:
    lows, defects = images_by_stem(low)
    references, more = images_by_stem(reference)
    defects += more
    scenes = {name: name.split("-")[0] for name in lows}
    if lows and references:
        alone = sorted((name for name in lows if scenes[name] not in references), key=natural_key)
        defects += [Defect("unpaired", f"{lows[name]} (no {scenes[name]}.* in {reference})") for name in alone]
        defects += unpaired(references, scenes.values(), low)
    names = sorted((name for name in lows if scenes[name] in references), key=natural_key)
    return Listing([Pair(name, lows[name], references[scenes[name]]) for name in names], defects)


def find_rellisur_sr(folder: Path, scale: int) -> Listing:
    """Pairs the normal-light image of each scene at X1 with the one at the given scale: super-resolution alone."""
    if scale not in (2, 4):
        raise UserError(f"RELLISUR's normal-light images are enlarged by 2 or 4, not {scale}")
    if (folder / "NLHR" / "X1").is_dir():
        return pair_folders(folder / "NLHR" / "X1", folder / "NLHR" / f"X{scale}")
    copies = folder / "NLHR-Duplicates"
    listing = pair_folders(copies / "X1", copies / f"X{scale}")
    scenes: dict[str, Pair] = {}
    for pair in listing.pairs:  # the copies of a scene are equal
        scene = pair.name.split("-")[0]
        scenes.setdefault(scene, Pair(scene, pair.low, pair.reference))
    return Listing(list(scenes.values()), listing.defects)


def find_lol_v2_real(folder: Path, scale: int) -> Listing:
    """Pairs Low/lowN with Normal/normalN under the name N."""
    lows, defects = _numbered(folder / "Low", "low")
    references, more = _numbered(folder / "Normal", "normal")
    defects += more
    if lows and references:
        for images, partners, prefix in ((lows, references, "Normal/normal"), (references, lows, "Low/low")):
            alone = sorted(images.keys() - partners.keys(), key=natural_key)
            defects += [Defect("unpaired", f"{images[name]} (no {prefix}{name}.* in {folder})") for name in alone]
    names = sorted(lows.keys() & references.keys(), key=natural_key)
    return Listing([Pair(name, lows[name], references[name]) for name in names], defects)


def find_lol_v2_synthetic(folder: Path, scale: int) -> Listing:
    """Pairs Low/NAME with Normal/NAME."""
    return pair_folders(folder / "Low", folder / "Normal")


def _numbered(folder: Path, prefix: str) -> tuple[dict[str, Path], list[Defect]]:
    """Maps N to the file named PREFIX + N; other names are defects."""
    found, defects = images_by_stem(folder)
    numbers = {}
    for name, path in found.items():
        if name.startswith(prefix) and name.removeprefix(prefix).isdecimal():
            numbers[name.removeprefix(prefix)] = path
        else:
            defects.append(Defect("bad name", f"{path} (expected {prefix}NNNNN)"))
    return numbers, defects


def _test_set(count: int, get: str) -> Layout:
    """A test set of pairs without a known layout of its own: its images are put into low/ and high/."""
    tree = "{root}/low/NAME.*, {root}/high/NAME.* (the published folders are not known here; rename them)"
    return Layout(find_paired, {"test": ""}, tree, get, {"test": count})


_RELLISUR = "RELLISUR.zip (8.9 GB, CC BY 4.0) from https://doi.org/10.5281/zenodo.5234969"
_LOL_V2 = "LOL v2 (no licence stated, research use) from https://github.com/flyywh/CVPR-2020-Semi-Low-Light"
_LOL = Layout(
    find_paired,
    {"train": "our485", "test": "eval15"},
    "{root}/our485/low/N.png, {root}/our485/high/N.png, {root}/eval15/low/N.png, {root}/eval15/high/N.png",
    "LOL v1 (500 pairs; no licence stated, research use) from https://daooshee.github.io/BMVC2018website",
    {"train": 485, "test": 15},
)

LAYOUTS = {
    "paired": Layout(
        find_paired,
        {"train": ""},
        "{root}/low/NAME.*, {root}/high/NAME.*",
        "your own pairs, with the same name in both folders",
    ),
    "lol": _LOL,
    "rellisur": Layout(
        find_rellisur,
        {"train": "Train", "val": "Val", "test": "Test"},
        "{root}/{{Train,Val,Test}}/LLLR/NNNNN-E.E.png, {root}/{{Train,Val,Test}}/NLHR-Duplicates/X{{1,2,4}}/"
        "NNNNN-E.E.png (or NLHR/X{{1,2,4}}/NNNNN.png)",
        _RELLISUR,
        {"train": 3610, "val": 215, "test": 425},  # from secondary sources
    ),
    "rellisur_sr": Layout(
        find_rellisur_sr,
        {"train": "Train", "val": "Val", "test": "Test"},
        "{root}/{{Train,Val,Test}}/NLHR/X{{1,2,4}}/NNNNN.png (or NLHR-Duplicates/X{{1,2,4}}/NNNNN-E.E.png)",
        _RELLISUR,
        {"train": 722, "val": 43, "test": 85},  # from secondary sources
    ),
    "lol_v2_real": Layout(
        find_lol_v2_real,
        {"train": "Real_captured/Train", "test": "Real_captured/Test"},
        "{root}/Real_captured/{{Train,Test}}/Low/lowNNNNN.png, {root}/Real_captured/{{Train,Test}}/Normal/"
        "normalNNNNN.png",
        _LOL_V2,
        {"train": 689, "test": 100},
    ),
    "lol_v2_synthetic": Layout(
        find_lol_v2_synthetic,
        {"train": "Synthetic/Train", "test": "Synthetic/Test"},
        "{root}/Synthetic/{{Train,Test}}/{{Low,Normal}}/NAME.png",
        _LOL_V2,
        {"train": 900, "test": 100},
    ),
    "lol_drgn": dataclasses.replace(_LOL, find=find_lol_drgn, counts={"train": 480, "test": 20}),
    # The test sets of DRGN, section 3.1; their pages are those that the papers name.
    "lol1000": _test_set(
        1000, "the 1,000 synthetic pairs of RetinexNet from https://daooshee.github.io/BMVC2018website"
    ),
    "test148": _test_set(148, "148 pairs of EnlightenGAN's authors, see https://github.com/VITA-Group/EnlightenGAN"),
    "voc144": _test_set(144, "144 synthetic pairs of MBLLEN's authors, see https://github.com/Lvfeifan/MBLLEN"),
}


def _similar_root(root: Path, subset: str) -> Path | None:
    """The root that was probably meant: one or two levels above the given one, or one of its folders."""
    above = [root.parent, root.parent.parent]
    try:
        below = [path for path in list_folder(root) if is_folder(path)]
    except OSError:
        below = []
    return next((path for path in [*above, *below] if subset and is_folder(path / subset)), None)


def find_pairs(dataset: str, root: str, *, split: str, scale: int, option: str = "data.root") -> Listing:
    """Lists the pairs of one split ("train", "val" or "test") of a data set.

    option: the name of the config field or flag that sets `root`, for error messages.
    Raises MissingData if the split's folder does not exist, UserError if the data set has no such split.
    """
    layout = LAYOUTS[dataset]
    if split not in layout.subsets:
        known = ", ".join(layout.subsets)
        divisible = "train" in layout.subsets and (split == "val" or not layout.subsets["train"])
        hint = "set data.eval_root or data.holdout" if divisible else "set data.eval_root"
        raise UserError(f"data set {dataset!r} has no {split!r} split (it has: {known}); {hint}")
    folder = Path(root).expanduser() / layout.subsets[split]
    if not root or not is_folder(folder):
        wrong = f"{folder} is not a folder" if root else f"{option} is not set"
        tree = layout.tree.format(root=root or "ROOT")
        meant = _similar_root(Path(root).expanduser(), layout.subsets[split]) if root else None
        hint = f"did you mean {option}={meant}? " if meant else ""
        raise MissingData(f"{wrong}: {hint}point {option} at the data set, laid out as {tree}; get it: {layout.get}")
    listing = layout.find(folder, scale)
    if not layout.subsets[split] and not listing.pairs and (meant := _similar_root(folder, "low")):
        raise MissingData(f"{folder / 'low'} is not a folder; did you mean {option}={meant}?")
    published = layout.counts.get(split, len(listing.pairs))
    if len(listing.pairs) != published:
        logging.warning("%s %s: %d pairs; published are %d", dataset, split, len(listing.pairs), published)
    return listing
