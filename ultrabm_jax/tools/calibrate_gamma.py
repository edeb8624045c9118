"""Calibrates the synthetic darkness of `coco_dark` so that the dark images have a given mean PSNR.

    python -m ultrabm_jax.tools.calibrate_gamma COCO/val2017 --output COCO/gamma.json [--psnr 11.58] [--count 1000]

DRGN's Table 4a states 11.58 dB for the dark images of COCO1000. The command keeps the lower limit of gamma
(ultrabm_jax/image/gamma_darkness.py) and finds the upper limit at which the mean psnr_rgb of the dark images equals
--psnr. It uses the images and the draws of the records: of a folder with more than --count images those that
`coco_dark` takes, each darkened as its name determines. `input_pipeline.prepare coco_dark` reads the limits from
gamma.json in its --manual_dir; without that file it uses the default range.

Limits that were calibrated on other photos give another PSNR on COCO.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from input_pipeline.files.listing import raise_on_defects
from input_pipeline.files.photos import find_photos
from input_pipeline.sampling import by_hash, image_rng
from ultrabm_jax.cli import available_cores, command_parser, local_name, local_path, run
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.image.gamma_darkness import COCO_SALT, COCO_SEED, GAMMA, darken_by_gamma
from ultrabm_jax.image.write import write_file
from ultrabm_jax.logging import logger

DRGN_PSNR = 11.58  # of the input in Table 4a
COUNT = 1000  # images of COCO1000
LARGEST = 20.0  # upper limit of gamma that is tried: nearly black images
HALVINGS = 12


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser("python -m ultrabm_jax.tools.calibrate_gamma", __doc__)
    flags.add_argument("photos", type=local_name, metavar="PHOTOS", help="folder of the photos, such as COCO/val2017")
    flags.add_argument("--output", type=local_path, metavar="FILE.json", help="where to write the limits of gamma")
    flags.add_argument("--psnr", type=float, default=DRGN_PSNR, help=f"mean psnr_rgb in dB (default: {DRGN_PSNR})")
    flags.add_argument("--count", type=int, default=COUNT, help=f"largest number of photos (default: {COUNT})")
    return flags


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit status."""
    args = parser().parse_args(argv)
    if args.count < 1:
        raise UserError(f"--count {args.count} must be 1 or more")
    photos, defects = find_photos(args.photos, split="eval", option="PHOTOS")
    raise_on_defects(defects)
    chosen = {name: photos[name] for name in by_hash(photos, salt=COCO_SALT)[: args.count]}
    gamma = calibrate(lambda limits: mean_psnr(chosen, limits), args.psnr)
    found: dict[str, object] = {
        "gamma": list(gamma),
        "psnr_rgb": round(mean_psnr(chosen, gamma), 3),
        "ssim_rgb": round(mean_ssim(chosen, gamma), 4),
        "images": len(chosen),
        "folder": Path(args.photos).resolve().name,
    }
    print(json.dumps(found))
    if args.output:
        write_file(args.output, (json.dumps(found, indent=2) + "\n").encode())
    return 0


def calibrate(psnr_of: Callable[[tuple[float, float]], float], target: float) -> tuple[float, float]:
    """The limits of gamma whose mean PSNR is `target`, which decreases with the upper one; found by bisection.

    Raises UserError if no upper limit up to LARGEST gives it.
    """
    low, high = GAMMA[0], LARGEST
    brightest, darkest = psnr_of((low, low)), psnr_of((low, high))
    if not darkest <= target <= brightest:
        raise UserError(f"--psnr {target}: these photos allow {darkest:.2f} to {brightest:.2f} dB")
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = psnr_of((GAMMA[0], middle))
        logger.info(f"gamma {GAMMA[0]:g} to {middle:.3f}: {found:.3f} dB")
        low, high = (middle, high) if found > target else (low, middle)
    return GAMMA[0], round((low + high) / 2, 3)


def mean_psnr(photos: dict[str, Path], gamma: tuple[float, float]) -> float:
    """Mean psnr_rgb of the dark images in dB; in NumPy, since metrics.psnr would be compiled for each size."""

    def psnr(name: str) -> float:
        reference, dark = _pair(photos[name], name, gamma)
        mse = np.mean((dark.astype(np.float32) - reference) ** 2, dtype=np.float64)
        return float(10 * np.log10(255**2 / mse))

    with ThreadPoolExecutor(available_cores()) as pool:
        return float(np.mean(list(pool.map(psnr, photos))))


def mean_ssim(photos: dict[str, Path], gamma: tuple[float, float]) -> float:
    """Mean ssim_rgb of the dark images."""
    from ultrabm_jax.metrics import compute

    pairs = (_pair(path, name, gamma) for name, path in photos.items())
    return float(np.mean([float(compute("ssim_rgb", dark[None], reference[None])[0]) for reference, dark in pairs]))


def _pair(path: Path, name: str, gamma: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """A photo and its dark image, as in the records."""
    reference = read_rgb_uint8(path)
    return reference, darken_by_gamma(reference, image_rng(COCO_SEED, name), gamma=gamma)


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
