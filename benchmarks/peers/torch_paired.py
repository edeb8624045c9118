"""The peer of data_loading.py: a PyTorch DataLoader over pairs of image files, like BasicSR's paired data set.

Whole files are read and decoded by OpenCV, converted to float32, cropped, flipped and transposed together, and returned
as (3, h, w) tensors; two worker processes, shuffled, without the last incomplete batch. With --crop-first, the crop is
taken before the conversion to float32, which is faster; BasicSR does not do that. Needs torch, numpy and
opencv-python-headless in a separate environment:

    python torch_paired.py LOW_DIR REFERENCE_DIR --scale 2 --batch 16 --patch 96 [--workers 2]

For each line "SECONDS" on standard input, takes batches for that long (after DRAIN batches that may be prefetched) and
prints a line "IMAGES SECONDS CPU_SECONDS", the last of this process and its workers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
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

    def __init__(self, low: Path, reference: Path, *, scale: int, patch: int, crop_first: bool = False):
        self.low, self.reference = (sorted(folder.iterdir()) * ENLARGE for folder in (low, reference))
        self.scale, self.patch, self.crop_first = scale, patch, crop_first

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        low, reference = _decode(self.low[i]), _decode(self.reference[i])
        if not self.crop_first:
            low, reference = _float(low), _float(reference)
        p, s = self.patch, self.scale
        top, left = random.randint(0, low.shape[0] - p), random.randint(0, low.shape[1] - p)
        low = low[top : top + p, left : left + p]
        reference = reference[s * top : s * (top + p), s * left : s * (left + p)]
        if self.crop_first:
            low, reference = _float(low), _float(reference)
        flips = [random.random() < 0.5 for _ in range(3)]
        return {"low": _tensor(low, *flips), "reference": _tensor(reference, *flips)}


def _decode(path: Path) -> np.ndarray:
    """(h, w, 3) uint8 BGR."""
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def _float(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / 255


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


def cpu_seconds(pids: list[int]) -> float:
    """CPU time of running processes, user and system (Linux)."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("low", type=Path)
    parser.add_argument("reference", type=Path)
    for name in ("scale", "batch", "patch"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--crop-first", action="store_true")
    options = parser.parse_args()
    sizes = {"scale": options.scale, "patch": options.patch}
    images = PairedImages(options.low, options.reference, crop_first=options.crop_first, **sizes)
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
        pids = [os.getpid(), *(process.pid for process in multiprocessing.active_children())]
        begin, count, cpu = time.perf_counter(), 0, cpu_seconds(pids)
        while time.perf_counter() - begin < float(line):
            count += len(next(batches)["low"])
        print(count, time.perf_counter() - begin, cpu_seconds(pids) - cpu, flush=True)


if __name__ == "__main__":
    main()
