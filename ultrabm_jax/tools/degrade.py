"""Low-light versions of photos by a trained DRGN: any number of pairs to train on (DRGN, section 2.3).

python -m ultrabm_jax.tools.degrade --workdir W PHOTOS... --output DIR [--strength 0.5 1 1.5] [--versions N]
                                 [--donors FOLDER] [--seed 0] [--checkpoint latest]

A photo I_ref becomes clip(s I_D + I_ref), with the degradation I_D that the run's DeG finds in a real low image,
the donor, and a strength s: 0 leaves it as it is, 1 is as learned. Each version of a photo has a donor of its own,
drawn from the seed and the name; donors are the low images of the run's own training data, or of --donors.

DIR/low/NAME.png and DIR/high/NAME.png are a folder that train.py reads (data.dataset=paired, data.root=DIR; scale 1).
Beside them donors.csv, and contact_sheet.png of the first few: photo, donor, low versions. What DIR holds already
stays, but for pairs of the same name.

Not in the paper: where the photo is larger than the donor, I_D goes on mirrored; of a larger donor it is cut at
random. DeG sees the donor with a mirrored margin, which is cut off again: at a border its convolutions see zeros, and
I_D is weaker there, which mirrored would be a bright line across the photo.
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
from typing import Any

import numpy as np
from PIL import Image

from input_pipeline.darken import find_inputs
from input_pipeline.sampling import image_rng
from ultrabm_jax.cli import enable_compilation_cache, progress, run, say
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.decode import BadImage, read_rgb_uint8
from ultrabm_jax.tools.contact_sheet import Sheet
from ultrabm_jax.tools.donors import Donors, find_donors

MARGIN = 32  # pixels around a donor
MAX_LISTED = 8  # rows of the contact sheet

Degrade = Callable[[np.ndarray], np.ndarray]  # low (h, w, 3) uint8 -> I_D (h, w, 3) float32


@dataclass(frozen=True)
class Version:
    """One pair to be made; `key` is what its donor is drawn by."""

    name: str
    photo: Path
    key: str
    strength: float


def parser() -> argparse.ArgumentParser:
    """All flags."""
    flags = argparse.ArgumentParser(
        prog="python -m ultrabm_jax.tools.degrade",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    flags.add_argument("inputs", nargs="+", metavar="PHOTOS", help="photo, folder (any depth), or skimage")
    flags.add_argument("--workdir", required=True, help="folder of a training run of DRGN or LW-DRGN")
    flags.add_argument("--output", required=True, type=Path, help="folder of the pairs")
    flags.add_argument("--strength", type=float, nargs="+", default=[1.0], help="of the degradation (default: 1)")
    flags.add_argument("--versions", type=int, default=1, help="degradations for each photo (default: 1)")
    flags.add_argument("--donors", help="folder of low images; default: those that the run was trained on")
    flags.add_argument("--seed", type=int, default=0, help="of the choice of donors (default: 0)")
    flags.add_argument("--checkpoint", default="latest", help="best, latest or a step (default: latest)")
    return flags


def main(argv: Sequence[str]) -> int:
    """Exit status: 1 if any photo failed; it is named in one line and the rest go on."""
    args = parser().parse_args(argv)
    if args.versions < 1 or not all(0 <= strength < math.inf for strength in args.strength):
        raise UserError("--versions is at least 1, and --strength a number of at least 0")
    versions = plan(find_inputs(args.inputs), strengths=args.strength, count=args.versions)
    refuse_overwriting(versions, args.output)
    enable_compilation_cache()
    degrade, config = load_deg(args.workdir, args.checkpoint)
    donors = find_donors(args.donors, config)
    return int(write_pairs(versions, donors, degrade, args.output, seed=args.seed) > 0)


def plan(photos: dict[str, Path], *, strengths: Sequence[float], count: int) -> list[Version]:
    """The pairs of all photos; folders in a name become part of the file name, as pairs lie in one folder."""
    versions: dict[str, Version] = {}
    for name, path in photos.items():
        for k in range(1, count + 1):
            for strength in dict.fromkeys(strengths):
                stem = name.replace("/", "__") + (f"_v{k}" if count > 1 else "")
                stem += f"_s{strength:g}" if len(set(strengths)) > 1 else ""
                if stem in versions:
                    raise UserError(f"{path} and {versions[stem].photo} would both become {stem}.png")
                versions[stem] = Version(stem, path, f"{name}/{k}", strength)
    return list(versions.values())


def refuse_overwriting(versions: Sequence[Version], output: Path) -> None:
    """UserError if a photo would be replaced by what is made of it."""
    sources = {version.photo.resolve() for version in versions}
    for version in versions:
        for kind in ("low", "high"):
            if (target := output / kind / f"{version.name}.png").resolve() in sources:
                raise UserError(f"{target}: the output would replace an input; choose another --output folder")


def load_deg(workdir: str, checkpoint: str) -> tuple[Degrade, Any]:
    """The run's DeG, and its config."""
    import jax

    from ultrabm_jax.inference.trained import load_trained

    trained = load_trained(workdir, checkpoint)
    if "deg" not in trained.variables["params"]:
        raise UserError(f"{workdir} holds a run of {trained.config.model.name}, which has no degradation generator")
    params = {"deg": jax.device_put(trained.variables["params"]["deg"])}
    apply = jax.jit(lambda params, low: trained.model.apply({"params": params}, low, method="degrade"))

    def degrade(low: np.ndarray) -> np.ndarray:
        wide = np.pad(low, [(MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)], mode="symmetric")
        degradation = np.asarray(apply(params, wide[None].astype(np.float32) / 255))
        return degradation[0, MARGIN:-MARGIN, MARGIN:-MARGIN]

    return degrade, trained.config


def write_pairs(versions: Sequence[Version], donors: Donors, degrade: Degrade, output: Path, *, seed: int) -> int:
    """Writes low/, high/, donors.csv and the contact sheet; gives back how many pairs failed."""
    for kind in ("low", "high"):
        (output / kind).mkdir(parents=True, exist_ok=True)

    @functools.lru_cache(maxsize=1)  # versions of several strengths follow one another
    def donated(donor: int) -> tuple[np.ndarray, np.ndarray]:
        dark = donors.read(donor)
        return dark, degrade(dark)

    failed, sheet, rows = 0, Sheet(rows=MAX_LISTED), []
    for version in progress(versions, "pair", describe=lambda version: f"{version.photo} -> {version.name}.png"):
        rng = image_rng(seed, version.key)
        donor = int(rng.integers(len(donors.names)))
        try:
            photo, (dark, degradation) = read_rgb_uint8(version.photo), donated(donor)
            low = darkened(photo, fit(degradation, photo.shape[:2], rng), strength=version.strength)
            Image.fromarray(low).save(output / "low" / f"{version.name}.png")
            Image.fromarray(photo).save(output / "high" / f"{version.name}.png")
        except (BadImage, OSError) as error:
            failed += 1
            say(f"error: {error}")
            continue
        rows.append([version.name, donors.names[donor], f"{version.strength:g}"])
        first = [(version.photo.stem, photo), (f"donor {donors.names[donor]}", dark)]
        sheet.add(version.key, first, (f"strength {version.strength:g}", low))
    write_donors(output / "donors.csv", rows)
    if rows:
        sheet.save(output / "contact_sheet.png")
    return failed


def write_donors(path: Path, rows: list[list[str]]) -> None:
    """Adds `rows` to those of earlier calls, in place of those of the same name."""
    known: dict[str, list[str]] = {}
    if path.exists():
        with path.open(newline="") as file:
            known = {row[0]: row for row in list(csv.reader(file))[1:]}
    known |= {row[0]: row for row in rows}
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["name", "donor", "strength"], *known.values()])


def fit(degradation: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A degradation of the photo's size: mirrored on where it is smaller, cut at random where it is larger."""
    missing = [max(0, wanted - side) for wanted, side in zip(size, degradation.shape, strict=False)]
    degradation = np.pad(degradation, [(0, more) for more in missing] + [(0, 0)], mode="symmetric")
    top, left = (int(rng.integers(side - wanted + 1)) for side, wanted in zip(degradation.shape, size, strict=False))
    return degradation[top : top + size[0], left : left + size[1]]


def darkened(photo: np.ndarray, degradation: np.ndarray, *, strength: float) -> np.ndarray:
    """clip(strength I_D + I_ref), 8 bits."""
    low = photo.astype(np.float32) / 255 + strength * degradation
    return np.rint(np.clip(low, 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
