"""Data sets of the true layouts, with tiny images. Made once: no test changes them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

EXPOSURES = ("-2.5", "-3.0", "-3.5", "-4.0", "-4.5")
XTRANS = ("GBGGRG", "RGRBGB", "GBGGRG", "GRGGBG", "BGBRGR", "GRGGBG")


def save(path: Path, height: int, width: int, seed: int) -> Path:
    """Smooth coloured noise, different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def write_dng(path: Path, pattern: tuple[str, ...], size: tuple[int, int], *, black: int, seed: int) -> None:
    """An uncompressed mosaic as a camera writes it, white at 16383."""
    white = 16383
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(black, white, size, dtype=np.uint16)
    period = len(pattern)
    colours = bytes("RGB".index(letter) for row in pattern for letter in row)
    matrix = [(v, 10000) for v in (8000, -2000, -500, -4000, 12000, 2000, -500, 1500, 6000)]
    tags = [
        (271, 2, 0, "Test", True), (272, 2, 0, "Test", True),
        (50706, 1, 4, bytes((1, 4, 0, 0)), True), (50707, 1, 4, bytes((1, 1, 0, 0)), True),
        (50708, 2, 0, "Test", True),
        (33421, 3, 2, (period, period), True), (33422, 1, period**2, colours, True),
        (50710, 1, 3, bytes((0, 1, 2)), True), (50711, 3, 1, 1, True),
        (50714, 3, 1, black, True), (50717, 3, 1, white, True),
        (50721, 10, 9, [v for pair in matrix for v in pair], True),
        (50728, 5, 3, (1, 2, 1, 1, 2, 3), True), (50778, 3, 1, 21, True),
    ]  # fmt: skip
    tifffile.imwrite(path.with_suffix(".dng"), values, photometric=32803, extratags=tags, metadata=None)
    path.with_suffix(".dng").rename(path)


@pytest.fixture(scope="session")
def rellisur_root(tmp_path_factory) -> Path:
    """Three scenes in Train and two in Val and Test, five exposures each, x1, x2, x4; Val lacks the duplicates."""
    root = tmp_path_factory.mktemp("RELLISUR-Dataset")
    for split, scenes in (("Train", (1, 2, 736)), ("Val", (3, 4)), ("Test", (18, 19))):
        for scene in scenes:
            for scale in (1, 2, 4):
                reference = save(root / split / "NLHR" / f"X{scale}" / f"{scene:05}.png", 8 * scale, 10 * scale, scene)
                for exposure in EXPOSURES if split != "Val" else ():
                    copy = root / split / "NLHR-Duplicates" / f"X{scale}" / f"{scene:05}{exposure}.png"
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(reference, copy)
            for k, exposure in enumerate(EXPOSURES):
                save(root / split / "LLLR" / f"{scene:05}{exposure}.png", 8, 10, 1000 * scene + k)
    return root


@pytest.fixture(scope="session")
def lol_root(tmp_path_factory) -> Path:
    """Versions 1 and 2. In v1, training images 11 and 12 show one scene, 20 and the test's 1 another."""
    root = tmp_path_factory.mktemp("lol")
    for part, names in (("our485", range(9, 21)), ("eval15", (1, 22, 23))):
        for name in names:
            scene = {12: 11, 20: 1}.get(name, name)
            save(root / part / "high" / f"{name}.png", 16, 24, scene)
            save(root / part / "low" / f"{name}.png", 16, 24, 100 + name)
    for part, first in (("Train", 10), ("Test", 50)):
        for k in range(first, first + 12):
            save(root / "Real_captured" / part / "Low" / f"low{k:05}.png", 16, 24, 200 + k)
            save(root / "Real_captured" / part / "Normal" / f"normal{k:05}.png", 16, 24, 300 + k)
            save(root / "Synthetic" / part / "Low" / f"r{k}.png", 16, 24, 400 + k)
            save(root / "Synthetic" / part / "Normal" / f"r{k}.png", 16, 24, 500 + k)
    return root


@pytest.fixture(scope="session")
def sid_root(tmp_path_factory) -> Path:
    """In each split one scene, two exposures and the first of them twice, for both cameras."""
    root = tmp_path_factory.mktemp("sid")
    for camera, suffix, cfa, size, black in (
        ("Sony", "ARW", ("RG", "GB"), (48, 64), 512),
        ("Fuji", "RAF", XTRANS, (606, 906), 1024),
    ):
        for p, split in enumerate(("train", "test", "val")):
            long = f"{camera}/long/{p}0001_00_10s.{suffix}"
            frames = [f"{camera}/short/{p}0001_{burst}s.{suffix}" for burst in ("00_0.04", "00_0.1", "01_0.04")]
            for k, name in enumerate([long, *frames]):
                write_dng(root / name, cfa, size, black=black, seed=10 * p + k)
            lines = [f"./{short} ./{long} ISO{200 + k} F8" for k, short in enumerate(frames)]
            (root / f"{camera}_{split}_list.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def photo_root(tmp_path_factory) -> Path:
    """Seven photos of different sizes, at two depths."""
    root = tmp_path_factory.mktemp("photos")
    for k in range(1, 8):
        save(root / ("trip" if k > 5 else "") / f"{k}.png", 10 + k, 20, k)
    return root


@pytest.fixture(scope="session")
def darkface_root(tmp_path_factory) -> Path:
    """Three images of the fixed test list and two others."""
    from input_pipeline.builders.darkface import held_names

    held = held_names()
    root = tmp_path_factory.mktemp("darkface")
    others = [str(k) for k in range(1, 6001) if str(k) not in held]
    for k, name in enumerate([*held[:3], *others[:2]]):
        save(root / "image" / f"{name}.png", 9, 16, k)
    return root


@pytest.fixture(scope="session")
def coco_root(tmp_path_factory) -> Path:
    """Three photos in train2017, one of them gray, two in val2017."""
    root = tmp_path_factory.mktemp("coco")
    for k in range(5):
        path = save(root / ("train2017" if k < 3 else "val2017") / f"{k:012}.jpg", 20, 16, k)
        if k == 0:
            Image.open(path).convert("L").save(path)
    return root


@pytest.fixture
def photos_copy(photo_root: Path, tmp_path: Path) -> Path:
    """The same, for tests that change them."""
    return Path(shutil.copytree(photo_root, tmp_path / "photos"))
