"""Data sets for the loading benchmarks, made from real images in a temporary folder.

lol        pairs of LOL v1, 600x400, written as PNG, the format of the published data set
rellisur   RELLISUR's sizes and file names: 1250x1250 collages of real photos, and 625x625 dark copies
sid        SID's sizes and file names: a real mosaic repeated to 4256x2848, with synthetic darkness and noise
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.image.darkness import Darkness, darken
from ultrabm_jax.image.resize import shrink
from ultrabm_jax.raw import read_raw

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
EXPOSURES = ("-2.5", "-3.0", "-3.5", "-4.0", "-4.5")
SONY = (2848, 4256)
SIDE = 1250


def make_lol(root: Path, data: Path, *, count: int, suffix: str = ".png") -> Path:
    """`count` training pairs (the available images are repeated if there are fewer) and one test pair."""
    files = {part: sorted((data / "lol_v1" / "our485" / part).iterdir()) for part in ("low", "high")}
    for part, paths in files.items():
        _in_threads(
            lambda item, part=part: write(root / "our485" / part / f"{item[0]}{suffix}", read_rgb_uint8(item[1])),
            enumerate(islice(cycle(paths), count)),
        )
        write(root / "eval15" / part / f"0{suffix}", read_rgb_uint8(paths[0]))
    return root


def make_halved(root: Path, lol: Path) -> Path:
    """The dark images at half size and the references, for a loader that cannot downsample."""
    for path in (lol / "our485" / "low").iterdir():
        write(root / "low" / path.name, shrink(read_rgb_uint8(path), 2))
    (root / "high").symlink_to(lol / "our485" / "high")
    return root


def make_rellisur(root: Path, data: Path, *, scenes: int) -> Path:
    """Five exposures of each scene; NLHR-Duplicates are hard links to one file per scene."""
    photos = kodak(data)

    def make(item: tuple[str, int]) -> None:
        split, scene = item
        reference = collage(photos, seed=scene)
        file = write(root / split / "NLHR" / "X2" / f"{scene:05}.png", reference)
        for exposure in EXPOSURES:
            rng = np.random.default_rng([scene, int(float(exposure) * -10)])
            low = darken(reference, Darkness(float(exposure), 3e-4, 1e-6), scale=2, bits=8, rng=rng)
            write(root / split / "LLLR" / f"{scene:05}{exposure}.png", low)
            copy = root / split / "NLHR-Duplicates" / "X2" / f"{scene:05}{exposure}.png"
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, copy)

    _in_threads(make, [("Train", k) for k in range(scenes)] + [("Val", scenes), ("Test", scenes + 1)])
    return root


def make_sid(root: Path, data: Path, *, scenes: int) -> Path:
    """Each split has scenes with one short exposure (ratio 100) and one long exposure."""
    sample = read_raw(data / "raw" / "colorchart.dng").samples
    times = tuple(-(-side // part) for side, part in zip(SONY, sample.shape, strict=True))
    whole = np.tile(sample[: sample.shape[0] // 2 * 2, : sample.shape[1] // 2 * 2], [t + 1 for t in times])
    for split, number in (("train", scenes), ("val", 1), ("test", 1)):
        inputs = []
        for k in range(number):
            top, left = 2 * k % sample.shape[0], 4 * k % sample.shape[1]
            part = np.clip(whole[top : top + SONY[0], left : left + SONY[1]], 0, 1)
            packed = np.rint(part * 16000).astype(np.uint16).reshape(SONY[0] // 2, 2, SONY[1] // 2, 2)
            inputs.append(root.with_name(f"{root.name}_{split}_{k}.npy"))
            np.save(inputs[-1], packed.swapaxes(1, 2).reshape(SONY[0] // 2, SONY[1] // 2, 4))
        levels = ("--ratios", "100", "--black", "0", "--white", "16000", "--split", split)
        command("input_pipeline.synthesize_sid", *inputs, "--output", root, *levels)
        for path in inputs:
            path.unlink()
    return root


def make_records(name: str, root: Path, data_dir: Path) -> Path:
    """Records of the data set `name` in the folder `root`."""
    command("input_pipeline.prepare", name, "--data_dir", data_dir, "--manual_dir", root)
    return data_dir


def command(module: str, *arguments: object) -> None:
    """Runs `python -m module`, and shows its output if it fails."""
    words = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")


def write(path: Path, image: np.ndarray) -> Path:
    """Writes a PNG with Pillow's default compression, or a JPEG of quality 95."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=95)  # quality is of JPEG
    return path


def kodak(data: Path) -> list[np.ndarray]:
    """24 photos of 768x512."""
    return [read_rgb_uint8(path) for path in sorted((data / "photos" / "kodak24").iterdir())]


def collage(photos: list[np.ndarray], *, seed: int) -> np.ndarray:
    """Six photos side by side, cut to SIDE x SIDE."""
    order = np.random.default_rng(seed).permutation(len(photos))[:6]
    upright = [photos[k] if photos[k].shape[1] > photos[k].shape[0] else np.rot90(photos[k]) for k in order]
    rows = [np.concatenate(upright[k : k + 2], axis=1) for k in (0, 2, 4)]
    return np.ascontiguousarray(np.concatenate(rows)[:SIDE, :SIDE])


def _in_threads(function: Callable[[T], object], items: Iterable[T]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(function, items))
