"""Writes dark, downscaled versions of photos as PNG files, to try restore.py on images with a known reference.

python -m input_pipeline.darken INPUT... --output DIR [--ev -4] [--scale 2] [--seed 0] [--config configs/NAME.py]
                                [--pairs] [--split train] [--unlit 0.5] [--jpeg-quality 60 95]

An INPUT is a photo, a folder (any depth), or `skimage`: the photos of the quickstart, of which --split names the
evaluation or the training photos. --pairs writes DIR/low and DIR/high, which training reads as paired folders. The
darkness is that of ultrabm_jax/image/darkness.py with the config's parameters, drawn from the seed and the image's
name, so a file holds exactly the pixels that an evaluation with the same config feeds to the network.

--unlit and --jpeg-quality add what night photos have besides (input_pipeline/night.py): a region without light, in the
dark image and in the reference, and the compression of the dark image. Both are drawn from the seed and the name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from input_pipeline.files.listing import raise_on_defects
from input_pipeline.files.photos import find_photos
from input_pipeline.night import compress, darken_region
from input_pipeline.sampling import image_rng
from input_pipeline.sources.lazy_images import ImageFile, LazyImage, MappedImage
from input_pipeline.sources.synthetic import NamedImage, SyntheticPairs
from ultrabm_jax.cli import command_parser, local_name, local_path, progress, run
from ultrabm_jax.config import default_config
from ultrabm_jax.config_flags import read_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import BadImage, read_size, write_image
from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.image.write import check_folder, why_unwritable
from ultrabm_jax.logging import logger


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser("python -m input_pipeline.darken", __doc__)
    flags.add_argument("inputs", type=local_name, nargs="+", metavar="INPUT", help="photo, folder, or skimage")
    flags.add_argument("--output", required=True, type=local_path, help="folder of the dark PNG files")
    flags.add_argument("--ev", type=float, help="exposure change in stops; default: drawn from the config's range")
    flags.add_argument("--scale", type=int, help="how many times smaller; default: the config's model.scale")
    flags.add_argument("--seed", type=int, help="of exposure and noise; default: the config's data.darkness.seed")
    flags.add_argument("--pairs", action="store_true", help="write dark images to DIR/low, photos to DIR/high")
    flags.add_argument("--split", choices=("eval", "train"), default="eval", help="of skimage (default: eval)")
    flags.add_argument("--unlit", type=float, default=0.0, metavar="P", help="share of images with an unlit region")
    flags.add_argument("--jpeg-quality", type=int, nargs=2, metavar=("LOW", "HIGH"), help="compress the dark images")
    flags.add_argument("--config", type=local_name, help="config file; default: the defaults of ultrabm_jax/config")
    return flags


class Night(NamedTuple):
    """Options of input_pipeline/night.py."""

    unlit: float = 0.0  # probability of a region without light
    jpeg_quality: tuple[int, int] | None = None  # both inclusive


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns 1 if any photo failed. Each failure is reported in one line."""
    args = parser().parse_args(argv)
    config = read_config(args.config) if args.config else default_config()
    photos = find_inputs(args.inputs, split=args.split)
    targets = {name: args.output / ("low" if args.pairs else "") / f"{name}.png" for name in photos}
    sources = {path.resolve() for path in photos.values()}
    for target in targets.values():
        if target.resolve() in sources:
            raise UserError(f"{target}: the output would replace an input; choose another --output folder")
    scale, options, night = scale_of(args, config), darkness(args, config), night_of(args)
    folders = {target.parent for target in targets.values()}
    folders |= {(args.output / "high" / name).parent for name in photos} if args.pairs else set()
    for folder in folders:
        check_folder(folder)
    failed = 0
    for number, name in enumerate(progress(list(photos), "photo", describe=None), start=1):
        source, target = photos[name], targets[name]
        try:
            if reason := why_unwritable(target):
                raise UserError(reason)
            low, reference = dark_pair(source, name=name, scale=scale, options=options, night=night)
            write_image(target, low)
            if args.pairs:
                write_image(args.output / "high" / f"{name}.png", reference)
        except (UserError, OSError) as error:
            failed += 1
            message = str(error) if str(source) in str(error) else f"{source}: {error}"
            logger.error(printable(message))
        else:
            logger.info(printable(f"[{number}/{len(photos)}] {source} -> {target}"))
    return int(failed > 0)


def find_inputs(inputs: Sequence[str], *, split: str = "eval") -> dict[str, Path]:
    """Maps names to files for all inputs; the names are those of an evaluation. `split` is that of skimage's photos."""
    found: dict[str, Path] = {}
    for text in inputs:
        path = Path(text)
        if text == "skimage" or not path.is_file():
            photos, defects = find_photos(text, split=split, option="INPUT")
            raise_on_defects(defects)
        else:
            photos = {path.stem: path}
        shared = sorted(found.keys() & photos.keys())
        if shared:
            raise UserError(f"{found[shared[0]]} and {photos[shared[0]]} would both become {shared[0]}.png")
        found |= photos
    return found


def darkness(args: argparse.Namespace, config: ConfigDict) -> ConfigDict:
    """config.data.darkness, overridden by the flags."""
    options = config.data.darkness.copy_and_resolve_references()
    if args.ev is not None:
        options.ev = (args.ev, args.ev)
    if args.seed is not None:
        options.seed = args.seed
    return options


def scale_of(args: argparse.Namespace, config: ConfigDict) -> int:
    """The scale of the flags or the config; raises UserError if it is not positive."""
    scale = config.model.scale if args.scale is None else args.scale
    if scale < 1:
        raise UserError(f"--scale {scale} must be 1 or more")
    return scale


def night_of(args: argparse.Namespace) -> Night:
    """--unlit and --jpeg-quality; raises UserError for values outside their ranges."""
    if not 0 <= args.unlit <= 1:
        raise UserError(f"--unlit {args.unlit} must be 0 to 1")
    if args.jpeg_quality is None:
        return Night(args.unlit)
    low, high = args.jpeg_quality
    if not 1 <= low <= high <= 95:
        raise UserError(f"--jpeg-quality {low} {high}: both must be 1 to 95, the first not larger than the second")
    return Night(args.unlit, (low, high))


def dark_pair(
    source: Path, *, name: str, scale: int, options: ConfigDict, night: Night
) -> tuple[np.ndarray, np.ndarray]:
    """(dark image (h, w, 3), photo (s h, s w, 3)), uint8; the photo is cropped to a multiple of the scale."""
    size = read_size(source)
    if min(size) < scale:
        raise BadImage(source, f"{size[1]}x{size[0]} is too small for scale {scale}")
    photo: LazyImage = ImageFile(source, size)
    unlit, jpeg = (image_rng(options.seed, f"{stream}/{name}") for stream in ("unlit", "jpeg"))
    if unlit.random() < night.unlit:
        photo = MappedImage(photo, lambda image: darken_region(image, unlit))
    low, reference = SyntheticPairs([NamedImage(name, photo)], scale=scale, options=options).pair(0)
    if night.jpeg_quality is not None:
        low = compress(low, quality=int(jpeg.integers(*night.jpeg_quality, endpoint=True)))
    return low, reference


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
