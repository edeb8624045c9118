"""How far the exposure of LOL's references can be known, and what it costs under psnr_rgb:

    python benchmarks/lol_exposure.py LOL [NAME=RESTORED ...]

For the test and training references: psnr_rgb of the references themselves, scaled to the average mean of the training
references. For new scenes: the share of the variance of the reference's mean that a ridge regression explains from the
dark image (quantiles, histogram and layout of its luminance, colour, saturation, texture), on folds of whole scenes.
RESTORED are folders with the restored images of eval15: psnr_rgb, psnr_rgb with each image scaled to its reference's
mean (to be compared with nothing else), and the correlation of the means. docs/results.md has the results.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image

from input_pipeline.files.layouts import find_pairs
from input_pipeline.files.listing import Pair
from input_pipeline.files.scenes import find_scenes
from ultrabm_jax.cli import named_paths
from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.metrics.folders import list_images
from ultrabm_jax.metrics.psnr import psnr_rgb

FOLDS = 8
PENALTIES = (1.0, 10.0, 100.0)
SIZE, GRID = (300, 200), (4, 6)  # of the shrunk dark image (width, height); rows and columns of its layout
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def read(path: Path) -> np.ndarray:
    """(h, w, 3) float32 in [0, 1]."""
    return read_rgb_uint8(path).astype(np.float32) / 255


def score(image: np.ndarray, reference: np.ndarray) -> float:
    """psnr_rgb."""
    return float(psnr_rgb(image[None], reference[None])[0])


def scaled(image: np.ndarray, mean: float) -> np.ndarray:
    """The image times a factor, clipped; its mean before clipping is `mean`."""
    return np.clip(image * (mean / image.mean()), 0, 1)


def features(low: Path) -> np.ndarray:
    """A description of a dark image."""
    image = Image.fromarray(read_rgb_uint8(low)).resize(SIZE, Image.Resampling.BOX)
    rgb = np.maximum(np.asarray(image, np.float32) / 255, 1e-4)
    y = rgb.mean(axis=-1)
    mean, quantiles = y.mean(), np.quantile(y, QUANTILES)
    histogram = np.histogram(np.log2(y / mean), bins=np.linspace(-5, 4, 19))[0] / y.size
    rows, columns = (side // count for side, count in zip(y.shape, GRID, strict=True))
    cells = y[: rows * GRID[0], : columns * GRID[1]].reshape(GRID[0], rows, GRID[1], columns).mean(axis=(1, 3))
    saturation = (rgb.max(axis=-1) - rgb.min(axis=-1)).mean() / mean
    texture = np.abs(np.diff(np.log(y + 0.004), axis=0)).mean()
    parts = [np.log(quantiles / mean + 0.01), np.log(quantiles), rgb.mean(axis=(0, 1)) / mean, histogram]
    return np.concatenate([[np.log(mean), saturation, texture], *parts, np.log(cells.ravel() / mean + 0.01)])


def explained(x: np.ndarray, y: np.ndarray, scenes: np.ndarray, penalty: float) -> float:
    """1 - squared error / variance of a ridge regression of y, each scene predicted from the others'."""
    weights = 1 / np.bincount(scenes)[scenes]  # each scene counts once
    folds = np.random.default_rng(0).integers(FOLDS, size=scenes.max() + 1)[scenes]
    predicted = np.zeros(len(y))
    for fold in range(FOLDS):
        train = folds != fold
        centre, spread = x[train].mean(axis=0), x[train].std(axis=0) + 1e-6
        z, mean = (x - centre) / spread, np.average(y[train], weights=weights[train])
        weighted = z[train] * weights[train, None]
        gram = weighted.T @ z[train] + penalty * np.eye(x.shape[1])
        predicted[~train] = z[~train] @ np.linalg.solve(gram, weighted.T @ (y[train] - mean)) + mean
    average = np.average(y, weights=weights)
    return float(
        1 - np.average((predicted - y) ** 2, weights=weights) / np.average((y - average) ** 2, weights=weights)
    )


def scores_at(mean: float, pairs: Iterable[Pair]) -> np.ndarray:
    """psnr_rgb of the references of `pairs`, scaled to `mean`; infinite where a reference has this mean."""
    references = (read(pair.reference) for pair in pairs)
    return np.array([score(scaled(reference, mean), reference) for reference in references])


def main() -> None:
    """Prints the results."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("lol", metavar="LOL", help="folder with our485 and eval15")
    flags.add_argument("restored", nargs="*", metavar="NAME=RESTORED", help="restored images of eval15")
    args = flags.parse_args()
    train, test = (find_pairs("lol", args.lol, split=split, scale=1).pairs for split in ("train", "test"))
    means = np.array([read(pair.reference).mean() for pair in train])
    print(f"{len(train)} training references: average mean {means.mean():.4f}, standard deviation {means.std():.3f}")
    for name, pairs in (("eval15", test), ("our485", train)):
        scores = scores_at(float(means.mean()), pairs)
        mean, median = scores.mean(), np.median(scores)
        print(f"psnr_rgb of the references of {name} at this mean: mean {mean:.2f}, median {median:.2f}")
    found = find_scenes({pair.name: pair.reference for pair in train})
    numbers = {scene: k for k, scene in enumerate(dict.fromkeys(found.values()))}
    scenes = np.array([numbers[found[pair.name]] for pair in train])
    x = np.array([features(pair.low) for pair in train])
    shares = ", ".join(f"{explained(x, means, scenes, penalty):.3f}" for penalty in PENALTIES)
    print(f"explained variance of the mean on new scenes ({len(numbers)} scenes; penalties {PENALTIES}): {shares}")
    for name, folder in named_paths(args.restored, "a method").items():
        files = list_images(folder)
        images = [(read(files[pair.name]), read(pair.reference)) for pair in test]
        own = np.mean([score(a, b) for a, b in images])
        aligned = np.mean([score(scaled(a, float(b.mean())), b) for a, b in images])
        r = np.corrcoef([a.mean() for a, _ in images], [b.mean() for _, b in images])[0, 1]
        print(f"{name}: psnr_rgb {own:.2f}, with the reference's mean {aligned:.2f}, correlation of the means {r:.2f}")


if __name__ == "__main__":
    main()
