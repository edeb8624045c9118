"""Makes a synthetic data set in SID's layout from photos or raw files: long exposures, and short ones with noise.

python -m input_pipeline.synthesize_sid INPUT... --output DIR [--camera sony|fuji] [--split train|val|test]
    [--ratios 100 250 300] [--iso 200 800 3200] [--cfa bayer|xtrans] [--black B --white W] [--seed 0]

An INPUT is a photo, a raw file, or a folder of them (searched recursively). The output is

    DIR/SYNTHETIC                          what the data set is and how it was made; marks it as synthetic for readers
    DIR/Sony_train_list.txt                as SID's; written last
    DIR/Sony/long/00001_00_10s.dng         the scene, without noise
    DIR/Sony/short/00001_00_0.1s.dng       1/100 of it with the noise of the ISO; 0.04 s is 1/250, 0.033 s 1/300

Scenes: raw/synthetic.py. Noise: raw/noise.py. Levels: those of SID's cameras. The ISO of a scene is drawn from those
given; ISO and noise depend only on the seed and the name of the input. Existing files are never replaced.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from input_pipeline.raw_pairs import sid_lists
from input_pipeline.raw_pairs.sid_lists import CFA
from input_pipeline.sampling import image_rng
from ultrabm_jax.cli import command_parser, local_path, progress, run
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import BadImage, is_image
from ultrabm_jax.image.listing import describe_skipped, list_tree
from ultrabm_jax.logging import logger
from ultrabm_jax.raw import Levels, is_raw, noise
from ultrabm_jax.raw.amplification import MAX_AMPLIFICATION, exposure_ratio
from ultrabm_jax.raw.cfa import CANONICAL
from ultrabm_jax.raw.dng import write_dng
from ultrabm_jax.raw.levels import CAMERA_LEVELS
from ultrabm_jax.raw.synthetic import Scene, expose_scene, read_scene

LONG = 10.0  # seconds
MAX_SCENES = 9999  # SID's names have four digits for the scene
LEVELS = {"sony": CAMERA_LEVELS["SONY", "ILCE-7SM2"], "fuji": CAMERA_LEVELS["FUJIFILM", "X-T2"]}
DIGIT = {"train": 0, "test": 1, "val": 2}
MAKE, MODEL = "ultrabm_jax", "synthetic"
F_NUMBER = "F0"  # there was no lens


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser("python -m input_pipeline.synthesize_sid", __doc__)
    flags.add_argument("inputs", nargs="+", type=local_path, metavar="INPUT", help="photo, raw file or folder")
    flags.add_argument("--output", required=True, type=local_path, help="folder of the data set")
    flags.add_argument("--camera", choices=sorted(CFA), default="sony", help="camera to imitate")
    flags.add_argument("--split", choices=sid_lists.SPLITS, default="train")
    flags.add_argument("--ratios", nargs="+", type=float, default=[100, 250, 300], help="long over short exposure")
    flags.add_argument("--iso", nargs="+", type=int, default=[200, 800, 3200], help="of the noise; one is drawn")
    flags.add_argument("--cfa", choices=sorted(CANONICAL), help="default: the camera's")
    flags.add_argument("--black", type=float, help="black level of .npy inputs, which have none")
    flags.add_argument("--white", type=float, help="white level of .npy inputs, which have none")
    flags.add_argument("--seed", type=int, default=0)
    return flags


def main(argv: Sequence[str]) -> int:
    """Exit status: 1 if any input failed. Each failure is logged in one line and the other inputs are processed."""
    args = parser().parse_args(argv)
    cfa = args.cfa or CFA[args.camera]
    times = [short_exposure(ratio) for ratio in args.ratios]
    for iso in args.iso:
        noise.sensor_noise(iso)  # raises UserError for an ISO outside the table
    inputs = find_inputs(args.inputs)
    list_file = args.output / f"{sid_lists.CAMERAS[args.camera]}_{args.split}_list.txt"
    if list_file.exists():
        raise UserError(f"{list_file} exists; choose another --output or --split")
    args.output.mkdir(parents=True, exist_ok=True)
    _mark(args.output, args)
    lines: list[str] = []
    failed = 0
    for number, name in enumerate(progress(list(inputs), "scene"), start=1):
        try:
            scene = read_scene(inputs[name], cfa=cfa, levels=Levels(args.black, args.white))
        except BadImage as error:
            failed += 1
            logger.error(str(error))
            continue
        lines += write_scene(scene, name, f"{DIGIT[args.split]}{number:04d}", times=times, args=args)
    list_file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return int(failed > 0)


def find_inputs(inputs: Sequence[Path]) -> dict[str, Path]:
    """{name: file} of all inputs, sorted; a name is the path below the input without its extension."""
    found: dict[str, Path] = {}
    for given in inputs:
        if not given.exists():
            raise UserError(f"{given}: no such file or folder")
        files = [given]
        if given.is_dir():
            tree = list_tree(given, lambda path: is_image(path) or is_raw(path))
            if tree.unlisted:
                raise UserError(tree.unlisted[0])
            if tree.others:
                logger.info(f"{given}: {describe_skipped(tree.others, 'photo')}")
            files = tree.files
        for path in files:
            if not (is_image(path) or is_raw(path)):
                continue
            name = path.relative_to(given).with_suffix("").as_posix() if given.is_dir() else path.stem
            if name in found:
                raise UserError(f"{found[name]} and {path} have the same name {name}; rename one")
            found[name] = path
    if not found or len(found) > MAX_SCENES:
        raise UserError(f"{len(found)} photos and raw files found; 1 to {MAX_SCENES} are possible")
    return found


def short_exposure(ratio: float) -> str:
    """The exposure in seconds, in SID's notation, that `exposure_ratio` reads as `ratio`: "0.033" for 300."""
    text = "0.033" if ratio == MAX_AMPLIFICATION else f"{LONG / ratio:.6g}" if ratio >= 1 else ""
    if not text or abs(exposure_ratio(float(text), LONG) - ratio) > 0.001 * ratio:
        raise UserError(f"--ratios {ratio:g}: must be 1 to {MAX_AMPLIFICATION:g}, SID's limit")
    return text


def write_scene(scene: Scene, name: str, number: str, *, times: Sequence[str], args: argparse.Namespace) -> list[str]:
    """Writes the long and the short exposures of a scene and returns their lines of the list file."""
    folder = sid_lists.CAMERAS[args.camera]
    rng = image_rng(args.seed, name)
    iso = int(rng.choice(args.iso))
    levels = LEVELS[args.camera]
    sensor = noise.sensor_noise(iso, span=levels[1] - levels[0])
    long = f"{folder}/long/{number}_00_{LONG:g}s.dng"
    _write(args.output / long, scene, levels, ratio=1.0, sensor=None, iso=iso, exposure=LONG, name=name, rng=rng)
    lines = []
    for time in times:
        short = f"{folder}/short/{number}_00_{time}s.dng"
        ratio = exposure_ratio(float(time), LONG)
        _write(
            args.output / short, scene, levels, ratio=ratio, sensor=sensor, iso=iso, exposure=float(time), name=name,
            rng=image_rng(args.seed, f"{name} {time}"),
        )  # fmt: skip
        lines.append(f"./{short} ./{long} ISO{iso} {F_NUMBER}")
    return lines


def _write(
    path: Path, scene: Scene, levels: tuple[float, float], *, ratio: float, sensor: noise.SensorNoise | None, iso: int,
    exposure: float, name: str, rng: np.random.Generator,
) -> None:  # fmt: skip
    black, white = levels
    path.parent.mkdir(parents=True, exist_ok=True)
    write_dng(
        path,
        expose_scene(scene, black=black, white=white, ratio=ratio, noise=sensor, rng=rng),
        pattern=CANONICAL[scene.cfa],
        black=black,
        white=white,
        neutral=scene.neutral,
        matrix=scene.matrix,
        make=MAKE,
        model=MODEL,
        description=f"synthetic, not of SID: {name} at 1/{ratio:g}".encode("ascii", "replace").decode(),
        iso=iso,
        exposure=exposure,
    )


def _mark(output: Path, args: argparse.Namespace) -> None:
    marker = output / sid_lists.MARKER
    if not marker.exists():
        marker.write_text(f"{_ABOUT}\nNoise: {noise.SOURCE}\n", encoding="utf-8")
    with marker.open("a", encoding="utf-8") as file:
        numbers = {"ratios": args.ratios, "ISO": args.iso}
        drawn = "; ".join(f"{name} {' '.join(f'{v:g}' for v in values)}" for name, values in numbers.items())
        file.write(
            f"{args.camera} {args.split}: seed {args.seed}; {drawn}; filter array {args.cfa or CFA[args.camera]}\n"
        )


_ABOUT = """SYNTHETIC DATA in the folder layout of SID (See-in-the-Dark).
Made by `python -m input_pipeline.synthesize_sid`. None of these files was taken by SID's authors or by the cameras
whose folder names and levels they borrow. Numbers measured on them say nothing about SID and must be labelled
synthetic wherever they are shown."""


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
