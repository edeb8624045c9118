"""Draws the intermediate images of a network beside its input and its restored image.

    python -m ultrabm_jax.figures maps --workdir runs/ultrabm_x2 PHOTO ... --output FIGURE.png
    python -m ultrabm_jax.figures maps --model lw_drgn_photo PHOTO ... --output FIGURE.png

UltraBM: guidance (two channels, each stretched to [0, 1]), illumination u and reflection v (Figure 3). DRGN:
degradation I_D, gray where it is 0, and base image I_B (Figure 2). LoLiSRFlow: the predicted colour ratio map, times 2.
SCI: illumination.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from ultrabm_jax.cli import enable_compilation_cache, local_name
from ultrabm_jax.errors import UserError
from ultrabm_jax.figures.cells import beside, fit_width, stacked, text_cell
from ultrabm_jax.image import read_image
from ultrabm_jax.image.resize import LANCZOS, resize
from ultrabm_jax.image.write import quantise
from ultrabm_jax.inference.named import load_named
from ultrabm_jax.inference.runs import load_trained
from ultrabm_jax.logging import logger
from ultrabm_jax.models.task import Task
from ultrabm_jax.typing import Variables

CLIPPED = ("illumination", "reflection", "base", "restored")  # images in [0, 1], apart from values to clip
SIGNED = ("degradation",)
MOST_CHANNELS = 4  # outputs with more channels are features, not images
HIDDEN = ("reflection_unclipped",)  # differs from another map only where that is clipped


def intermediate_maps(task: Task, variables: Variables, low: np.ndarray) -> dict[str, np.ndarray]:
    """(h, w, 3) float32 in [0, 1] -> {name: uint8 image (h', w', 3)} of the input and all outputs of the network.

    Raises UserError for networks of camera raw files, and for networks without intermediate images.
    """
    if task.input_kind != "rgb":
        raise UserError(f"{task.name} has no intermediate images in RGB")
    outputs: Mapping[str, jax.Array] = jax.jit(task.model.apply)(variables, low[None])
    maps = {"input": quantise(low, 8)}
    for name in (*(name for name in outputs if name not in ("restored", *HIDDEN)), "restored"):
        maps |= _shown(name, np.asarray(outputs[name], np.float32)[0])
    if list(maps) == ["input", "restored"]:
        raise UserError(f"{task.name} has no intermediate images with these options")
    return maps


def draw_maps(scenes: Sequence[Mapping[str, np.ndarray]], *, width: int) -> np.ndarray:
    """One row for each image of {name: map}; all rows have the same names."""
    titles = beside([text_cell(name, width) for name in scenes[0]])
    return stacked([titles, *(beside([fit_width(image, width) for image in maps.values()]) for maps in scenes)])


def _shown(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """The output `name` (h, w, c) as images; channels of maps with neither 1 nor 3 of them are drawn separately."""
    channels = values.shape[-1]
    if name in CLIPPED:
        values = np.clip(values, 0, 1)
    elif name in SIGNED:
        values = np.clip((values + 1) / 2, 0, 1)
    elif name == "colour_ratio":
        values = np.clip(2 * values, 0, 1)
    else:
        values = (values - values.min()) / max(float(values.max() - values.min()), 1e-6)
    if channels in (1, 3):
        return {name: quantise(np.broadcast_to(values, (*values.shape[:2], 3)), 8)}
    if channels > MOST_CHANNELS:
        return {}
    return {f"{name} [{c}]": quantise(np.repeat(values[..., c : c + 1], 3, axis=-1), 8) for c in range(channels)}


def add_arguments(flags: argparse.ArgumentParser) -> None:
    """The command's flags."""
    flags.add_argument("photos", type=local_name, nargs="+", metavar="PHOTO", help="image files")
    source = flags.add_mutually_exclusive_group(required=True)
    source.add_argument("--workdir", help="folder of a training run")
    source.add_argument("--model", help="name of a model, see restore.py --list-models")
    flags.add_argument("--side", type=int, default=640, help="larger images are reduced to this side; default 640")
    flags.add_argument("--width", type=int, default=240, help="of an image in the figure, in pixels; default 240")
    flags.add_argument("--assets", type=local_name, default="", help="folder of weight files")


def draw(args: argparse.Namespace) -> np.ndarray:
    """The figure of the command line."""
    if args.side < 16 or args.width < 16:
        raise UserError("--side and --width are at least 16")
    enable_compilation_cache()
    task, variables = _load(args)
    scenes = [intermediate_maps(task, variables, _read(path, args.side)) for path in args.photos]
    return draw_maps(scenes, width=args.width)


def _load(args: argparse.Namespace) -> tuple[Task, Variables]:
    if args.model is not None:
        return load_named(args.model, assets=args.assets)
    run = load_trained(args.workdir)
    return run.task, run.variables


def _read(path: str, side: int) -> np.ndarray:
    rgb = read_image(path).rgb
    height, width = rgb.shape[:2]
    ratio = side / max(height, width)
    if ratio >= 1:
        return rgb
    size = max(1, round(height * ratio)), max(1, round(width * ratio))
    logger.info(f"{path}: reduced to {size[1]}x{size[0]}; --side sets the size")
    return np.clip(resize(rgb, size, LANCZOS), 0, 1)
