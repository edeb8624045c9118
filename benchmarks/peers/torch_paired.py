"""The peer of data_loading.py: a PyTorch DataLoader over pairs of PNG files, like BasicSR's paired data set.

Whole files are read and decoded by OpenCV, converted to float32, cropped, flipped and transposed together, and returned
as (3, h, w) tensors; two worker processes, shuffled, without the last incomplete batch. Needs torch, numpy and
opencv-python-headless in a separate environment:

    python torch_paired.py LOW_DIR REFERENCE_DIR --scale 2 --batch 16 --patch 96 [--workers 2]

For each line "SECONDS" on standard input, takes batches for that long (after DRAIN batches that may be prefetched) and
prints a line "IMAGES SECONDS".
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

DRAIN = 6  # batches; more than are prefetched
ENLARGE = 100  # repeats of each image per epoch, as in BasicSR, so that small sets do not wait between epochs


class PairedImages(Dataset):
    """{"low": (3, p, p), "reference": (3, s*p, s*p)} float32 RGB in [0, 1]."""

    def __init__(self, low: Path, reference: Path, *, scale: int, patch: int):
        self.low, self.reference = (sorted(folder.iterdir()) * ENLARGE for folder in (low, reference))
        self.scale, self.patch = scale, patch

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        low, reference = _decode(self.low[i]), _decode(self.reference[i])
        p, s = self.patch, self.scale
        top, left = random.randint(0, low.shape[0] - p), random.randint(0, low.shape[1] - p)
        low = low[top : top + p, left : left + p]
        reference = reference[s * top : s * (top + p), s * left : s * (left + p)]
        flips = [random.random() < 0.5 for _ in range(3)]
        return {"low": _tensor(low, *flips), "reference": _tensor(reference, *flips)}


def _decode(path: Path) -> np.ndarray:
    """(h, w, 3) float32 BGR."""
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR).astype(np.float32) / 255


def _tensor(image: np.ndarray, horizontal: bool, vertical: bool, transpose: bool) -> torch.Tensor:
    image = image[:, ::-1] if horizontal else image
    image = image[::-1] if vertical else image
    image = image.transpose(1, 0, 2) if transpose else image
    rgb = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))


def endless(loader: DataLoader) -> Iterator[dict[str, torch.Tensor]]:
    """Epoch after epoch."""
    while True:
        yield from loader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("low", type=Path)
    parser.add_argument("reference", type=Path)
    for name in ("scale", "batch", "patch"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    images = PairedImages(options.low, options.reference, scale=options.scale, patch=options.patch)
    batches = endless(
        DataLoader(
            images,
            batch_size=options.batch,
            shuffle=True,
            drop_last=True,
            num_workers=options.workers,
            persistent_workers=True,
        )
    )
    print(f"torch {torch.__version__}, opencv {cv2.__version__}", flush=True)
    for line in sys.stdin:
        for _ in range(DRAIN):
            next(batches)
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < float(line):
            count += len(next(batches)["low"])
        print(count, time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
