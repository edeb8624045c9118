"""Pixel layouts of records: bytes on disk against crops per second. python benchmarks/data_layouts.py

    raw            uncompressed, memory-mapped: only the rows of the crop are read
    zlib           the whole image, level 6
    png            the whole image as one PNG, as in most data sets
    png tiles      PNGs of 128x128, of which only those that overlap the crop are decoded

One thread reads crops at random positions of random images from one file per layout. "warm": the file is in the page
cache; "cold": it is not (posix_fadvise), so disk reads are included. Images: references of LOL (600x400, crops 96x96)
and collages of RELLISUR's size (1250x1250, crops 512x512, common/data_inputs.py).
"""

from __future__ import annotations

import argparse
import io
import mmap
import os
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common.data_inputs import collage, kodak
from ultrabm_jax.image import read_rgb_uint8

TILE = 128
Span = tuple[int, int]  # start and stop in the file


@dataclass(frozen=True)
class Layout:
    """`encode(image)` returns the parts to store; `crop(read, shape, top, left, side)` reads parts by number."""

    encode: Callable[[np.ndarray], list[bytes]]
    crop: Callable[[Callable[[int], memoryview], tuple[int, ...], int, int, int], np.ndarray]


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def decoded(part: memoryview) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(part)))


def crop_raw(read: Callable, shape: tuple[int, ...], top: int, left: int, side: int) -> np.ndarray:
    image = np.frombuffer(read(0), np.uint8).reshape(shape)
    return image[top : top + side, left : left + side].copy()


def crop_zlib(read: Callable, shape: tuple[int, ...], top: int, left: int, side: int) -> np.ndarray:
    image = np.frombuffer(zlib.decompress(read(0)), np.uint8).reshape(shape)
    return image[top : top + side, left : left + side]


def crop_png(read: Callable, shape: tuple[int, ...], top: int, left: int, side: int) -> np.ndarray:
    return decoded(read(0))[top : top + side, left : left + side]


def tiles_of(image: np.ndarray) -> list[bytes]:
    height, width, _ = image.shape
    corners = [(y, x) for y in range(0, height, TILE) for x in range(0, width, TILE)]
    return [png(np.ascontiguousarray(image[y : y + TILE, x : x + TILE])) for y, x in corners]


def crop_tiles(read: Callable, shape: tuple[int, ...], top: int, left: int, side: int) -> np.ndarray:
    across = -(-shape[1] // TILE)
    ys, xs = (range(start // TILE, (start + side - 1) // TILE + 1) for start in (top, left))
    rows = [np.concatenate([decoded(read(y * across + x)) for x in xs], axis=1) for y in ys]
    top, left = top - ys[0] * TILE, left - xs[0] * TILE
    return np.concatenate(rows)[top : top + side, left : left + side]


LAYOUTS = {
    "raw": Layout(lambda image: [image.tobytes()], crop_raw),
    "zlib": Layout(lambda image: [zlib.compress(image.tobytes(), 6)], crop_zlib),
    "png": Layout(lambda image: [png(image)], crop_png),
    "png tiles": Layout(tiles_of, crop_tiles),
}


class Stored:
    """Images in one layout, in one file."""

    def __init__(self, path: Path, images: Sequence[np.ndarray], layout: Layout):
        self.layout, self.path = layout, path
        self.shapes = [image.shape for image in images]
        self.spans: list[list[Span]] = []
        with path.open("wb") as file:
            for image in images:
                self.spans.append([])
                for part in layout.encode(image):
                    start = file.tell()
                    file.write(part)
                    self.spans[-1].append((start, file.tell()))
            file.flush()
            os.fsync(file.fileno())  # only pages that are on disk can be dropped from the cache

    def crop(self, mapped: memoryview, i: int, top: int, left: int, side: int) -> np.ndarray:
        """A window of image i."""
        return self.layout.crop(lambda k: mapped[slice(*self.spans[i][k])], self.shapes[i], top, left, side)

    def speed(self, side: int, *, seconds: float, cold: bool) -> float:
        """Crops per second."""
        rng, count = np.random.default_rng(0), 0
        with self.path.open("rb") as file:
            if cold:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
                order = rng.permutation(len(self.shapes))
                begin = time.perf_counter()
                while (passed := time.perf_counter() - begin) < seconds and not (cold and count == len(order)):
                    i = int(order[count % len(order)])
                    top, left = (int(rng.integers(length - side + 1)) for length in self.shapes[i][:2])
                    self.crop(view, i, top, left, side)
                    count += 1
        return count / passed


def table(work: Path, images: list[np.ndarray], side: int, *, seconds: float, rounds: int) -> str:
    """Size and speed of each layout; layouts take turns within each round."""
    stored = {name: Stored(work / name, images, layout) for name, layout in LAYOUTS.items()}
    check(stored, images, side)
    speeds: dict[tuple[str, bool], list[float]] = {(name, cold): [] for name in stored for cold in (False, True)}
    for _ in range(rounds):
        for name, cold in speeds:
            if not cold:
                stored[name].path.read_bytes()
            speeds[name, cold].append(stored[name].speed(side, seconds=seconds, cold=cold))
    whole = (work / "raw").stat().st_size
    rows = ["| | size | crops/s, warm | crops/s, cold |", "|---|---|---|---|"]
    for name in stored:
        warm, cold = (statistics.median(speeds[name, cold]) for cold in (False, True))
        rows.append(f"| {name} | {stored[name].path.stat().st_size / whole:.2f} | {warm:,.0f} | {cold:,.0f} |")
    return "\n".join(rows)


def check(stored: dict[str, Stored], images: list[np.ndarray], side: int) -> None:
    """Raises AssertionError unless every layout returns the same crop."""
    for name, each in stored.items():
        with each.path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            with memoryview(mapped) as view:
                crop = each.crop(view, 1, 100, 77, side)
            if not np.array_equal(crop, images[1][100 : 100 + side, 77 : 77 + side]):
                raise AssertionError(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=shared, help="folder with lol_v1 and photos")
    parser.add_argument("--work", type=Path, help="folder on the disk to measure; default: a temporary folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--quick", action="store_true", help="few images and short rounds, to check that it works")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.2
    lol = sorted((options.data / "lol_v1" / "our485" / "high").iterdir())[: 4 if options.quick else 200]
    photos = kodak(options.data)
    sets = {
        "LOL, crops 96x96 of 600x400": ([read_rgb_uint8(path) for path in lol], 96),
        "Of RELLISUR's size, crops 512x512 of 1250x1250": (
            [collage(photos, seed=k) for k in range(2 if options.quick else 50)],
            512,
        ),
    }
    for title, (images, side) in sets.items():
        with tempfile.TemporaryDirectory(dir=options.work) as work:
            lines = table(Path(work), images, side, seconds=options.seconds, rounds=options.rounds)
            print(f"\n### {title}\n\n{lines}", flush=True)


if __name__ == "__main__":
    main()
