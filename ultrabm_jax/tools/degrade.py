"""Makes low-light versions of photos with a trained DRGN: any number of pairs to train on (DRGN, section 2.3).

python -m ultrabm_jax.tools.degrade --workdir W PHOTOS... --output DIR [--strength 0.5 1 1.5] [--versions N]
                                 [--low-images FOLDER] [--seed 0] [--checkpoint latest]

A photo I_ref becomes clip(s I_D + I_ref), where I_D is the degradation that the run's DeG finds in a real low image
and s is the strength: 0 leaves the photo unchanged, 1 adds the degradation as learned. A run with model.degradation=
multiplicative or exposure makes clip(exp(s I_D) I_ref), one with synthesis.noise adds this noise before the clipping.
The low image of each version is drawn from the seed and the photo's name, among the low images of the run's training
data or those of --low-images.

DIR/low/NAME.png and DIR/high/NAME.png form a folder for train.py (data.dataset=paired, data.root=DIR; scale 1).
DIR/degradations.csv lists the low image and the strength of each pair, DIR/contact_sheet.png shows the first photos
with their low images and low versions. Later calls add to DIR and replace only pairs of the same name.

Deviations from the paper: a degradation smaller than the photo is continued by reflection, a larger one is cropped at a
random place. DeG is applied to the low image with a reflected margin, which is cropped afterwards: its convolutions pad
with zeros, so I_D is weaker at the border, and its reflection would show as a bright line across the photo.
"""

from __future__ import annotations

import argparse
import csv
import functools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from input_pipeline.darken import find_inputs
from input_pipeline.sampling import image_rng
from ultrabm_jax.cli import command_parser, enable_compilation_cache, local_name, local_path, progress, run
from ultrabm_jax.deprecation import rename_flags
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import BadImage, read_rgb_uint8
from ultrabm_jax.logging import logger
from ultrabm_jax.models.drgn.degradation import DegradationForm
from ultrabm_jax.tools.contact_sheet import ContactSheet
from ultrabm_jax.tools.low_images import LowImages, find_low_images

COMMAND = "ultrabm_jax.tools.degrade"
MARGIN = 32  # pixels added around a low image
SHEET_ROWS = 8


@dataclass(frozen=True)
class Deg:
    """The degradation generator of a run."""

    degrade: Callable[[np.ndarray], np.ndarray]  # low (h, w, 3) uint8 -> I_D (h, w, 3) float32
    form: DegradationForm  # how I_D darkens an image
    noise: tuple[float, float]  # lowest and highest standard deviation of the noise of a low image


@dataclass(frozen=True)
class PlannedPair:
    """One pair to write; its low image is drawn from `key`."""

    name: str
    photo: Path
    key: str
    strength: float


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser(f"python -m {COMMAND}", __doc__)
    flags.add_argument(
        "inputs", type=local_name, nargs="+", metavar="PHOTOS", help="photo, folder (any depth), or skimage"
    )
    flags.add_argument("--workdir", required=True, help="folder of a training run of DRGN or LW-DRGN")
    flags.add_argument("--output", required=True, type=local_path, help="folder of the pairs")
    flags.add_argument("--strength", type=float, nargs="+", default=[1.0], help="of the degradation (default: 1)")
    flags.add_argument("--versions", type=int, default=1, help="degradations for each photo (default: 1)")
    flags.add_argument(
        "--low-images", type=local_name, help="folder of real low images; default: the run's training data"
    )
    flags.add_argument("--seed", type=int, default=0, help="seed for choosing low images (default: 0)")
    flags.add_argument("--checkpoint", default="latest", help="best, latest or a step (default: latest)")
    return flags


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns 1 if any photo failed. A failure is reported in one line and the others are made."""
    args = parser().parse_args(rename_flags(COMMAND, argv))
    if args.versions < 1 or not all(0 <= strength < math.inf for strength in args.strength):
        raise UserError("--versions is at least 1, and --strength a number of at least 0")
    pairs = plan(find_inputs(args.inputs), strengths=args.strength, count=args.versions)
    refuse_overwriting(pairs, args.output)
    enable_compilation_cache()
    deg, config = load_deg(args.workdir, args.checkpoint)
    low_images = find_low_images(args.low_images, config)
    return int(write_pairs(pairs, low_images, deg, args.output, seed=args.seed) > 0)


def plan(photos: dict[str, Path], *, strengths: Sequence[float], count: int) -> list[PlannedPair]:
    """Plans the pairs of all photos. Folders in a name become part of the file name: all pairs share one folder."""
    pairs: dict[str, PlannedPair] = {}
    for name, path in photos.items():
        for k in range(1, count + 1):
            for strength in dict.fromkeys(strengths):
                stem = name.replace("/", "__") + (f"_v{k}" if count > 1 else "")
                stem += f"_s{strength:g}" if len(set(strengths)) > 1 else ""
                if stem in pairs:
                    raise UserError(f"{path} and {pairs[stem].photo} would both become {stem}.png")
                pairs[stem] = PlannedPair(stem, path, f"{name}/{k}", strength)
    return list(pairs.values())


def refuse_overwriting(pairs: Sequence[PlannedPair], output: Path) -> None:
    """Raises UserError if an output file would replace an input photo."""
    sources = {pair.photo.resolve() for pair in pairs}
    for pair in pairs:
        for kind in ("low", "high"):
            if (target := output / kind / f"{pair.name}.png").resolve() in sources:
                raise UserError(f"{target}: the output would replace an input; choose another --output folder")


def load_deg(workdir: str, checkpoint: str) -> tuple[Deg, ConfigDict]:
    """Loads the run's degradation generator DeG and its config."""
    import jax

    from ultrabm_jax.inference.runs import load_trained

    trained = load_trained(workdir, checkpoint)
    if "deg" not in trained.variables["params"]:
        raise UserError(f"{workdir} holds a run of {trained.config.model.name}, which has no degradation generator")
    params = {"deg": jax.device_put(trained.variables["params"]["deg"])}
    apply = jax.jit(lambda params, low: trained.model.apply({"params": params}, low, method="degrade"))

    def degrade(low: np.ndarray) -> np.ndarray:
        wide = np.pad(low, [(MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)], mode="symmetric")
        degradation = np.asarray(apply(params, wide[None].astype(np.float32) / 255))
        return degradation[0, MARGIN:-MARGIN, MARGIN:-MARGIN]

    lowest, highest = trained.config.synthesis.noise
    return Deg(degrade, trained.model.form, (lowest, highest)), trained.config


def write_pairs(pairs: Sequence[PlannedPair], low_images: LowImages, deg: Deg, output: Path, *, seed: int) -> int:
    """Writes low/, high/, degradations.csv and the contact sheet; returns the number of pairs that failed."""
    for kind in ("low", "high"):
        (output / kind).mkdir(parents=True, exist_ok=True)

    @functools.lru_cache(maxsize=1)  # pairs that differ only in strength follow one another
    def read_and_degrade(index: int) -> tuple[np.ndarray, np.ndarray]:
        image = low_images.read(index)
        return image, deg.degrade(image)

    failed, sheet, rows = 0, ContactSheet(rows=SHEET_ROWS), []
    for pair in progress(pairs, "pair", describe=lambda pair: f"{pair.photo} -> {pair.name}.png"):
        rng = image_rng(seed, pair.key)
        index = int(rng.integers(len(low_images.names)))
        try:
            photo, (low_image, degradation) = read_rgb_uint8(pair.photo), read_and_degrade(index)
            degradation = pair.strength * fit(degradation, photo.shape[:2], rng)
            noise = rng.normal(size=photo.shape) * rng.uniform(*deg.noise) if any(deg.noise) else 0.0
            low = darken_photo(photo, degradation, form=deg.form, noise=noise)
            Image.fromarray(low).save(output / "low" / f"{pair.name}.png")
            Image.fromarray(photo).save(output / "high" / f"{pair.name}.png")
        except (BadImage, OSError) as error:
            failed += 1
            logger.error(str(error))
            continue
        rows.append([pair.name, low_images.names[index], f"{pair.strength:g}"])
        first = [(pair.photo.stem, photo), (f"low {low_images.names[index]}", low_image)]
        sheet.add(pair.key, first, (f"strength {pair.strength:g}", low))
    update_table(output / "degradations.csv", rows)
    if rows:
        sheet.save(output / "contact_sheet.png")
    return failed


def update_table(path: Path, rows: list[list[str]]) -> None:
    """Adds rows (name, low image, strength) to the table of earlier calls; rows of the same name are replaced."""
    known: dict[str, list[str]] = {}
    if path.exists():
        with path.open(newline="") as file:
            known = {row[0]: row for row in list(csv.reader(file))[1:]}
    known |= {row[0]: row for row in rows}
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["name", "low_image", "strength"], *known.values()])


def fit(degradation: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Brings a degradation to the photo's size: reflected where it is smaller, cropped at random where it is larger."""
    missing = [max(0, wanted - side) for wanted, side in zip(size, degradation.shape, strict=False)]
    degradation = np.pad(degradation, [(0, more) for more in missing] + [(0, 0)], mode="symmetric")
    top, left = (int(rng.integers(side - wanted + 1)) for side, wanted in zip(degradation.shape, size, strict=False))
    return degradation[top : top + size[0], left : left + size[1]]


def darken_photo(
    photo: np.ndarray, degradation: np.ndarray, *, form: DegradationForm, noise: np.ndarray | float = 0.0
) -> np.ndarray:
    """clip(form(I_ref, I_D) + noise), quantised to 8 bits."""
    low = np.asarray(form.apply(photo.astype(np.float32) / 255, degradation)) + noise
    return np.rint(np.clip(low, 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
