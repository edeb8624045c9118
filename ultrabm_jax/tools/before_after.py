"""Writes one image that shows the same scenes from several folders side by side, such as before and after restoring.

    python -m ultrabm_jax.tools.before_after dark=DIR restored=DIR [reference=DIR] --output sheet.jpg

An image is paired with those of the other folders by its name; `restore.py` adds `_restored` to names only beside their
inputs. Images of another size are enlarged or shrunk to the height of a row.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ultrabm_jax.cli import command_parser, local_name, local_path, named_paths, run
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_rgb_uint8, write_image
from ultrabm_jax.metrics.folders import list_images, pair

GAP, SPACE = 4, 14  # pixels between the images of a scene, and between scenes
TEXT = 18  # height of the line with the folders' names
BACKGROUND, FOREGROUND = (255, 255, 255), (60, 60, 60)


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = command_parser("python -m ultrabm_jax.tools.before_after", __doc__)
    parser.add_argument(
        "folders", type=local_name, nargs="+", metavar="NAME=DIR", help="folders, in the order from left to right"
    )
    parser.add_argument("--output", required=True, type=local_path, help="image file")
    parser.add_argument("--names", nargs="+", metavar="IMAGE", help="the images to show; default: all")
    parser.add_argument("--columns", type=int, default=2, help="scenes in a row; default 2")
    parser.add_argument("--height", type=int, default=180, help="of an image, in pixels; default 180")
    parser.add_argument("--square", action="store_true", help="show the square in the middle of each image")
    args = parser.parse_args(argv)
    if args.columns < 1 or args.height < 1:
        raise UserError("--columns and --height are at least 1")
    folders = named_paths(args.folders, "a folder")
    listed = {name: list_images(path) for name, path in folders.items()}
    first, *others = listed
    common, _ = pair(listed[first], {name: listed[name] for name in others})
    if unknown := sorted(set(args.names or ()) - set(common)):
        raise UserError(f"{unknown[0]} is not in every folder; there are {', '.join(common[:10])}")
    scenes = [{name: read_rgb_uint8(paths[image]) for name, paths in listed.items()} for image in args.names or common]
    if args.square:
        scenes = [{name: _square(image) for name, image in scene.items()} for scene in scenes]
    write_image(args.output, sheet(scenes, columns=args.columns, height=args.height))
    print(f"{args.output}: {len(scenes)} scenes")
    return 0


def sheet(scenes: Sequence[Mapping[str, np.ndarray]], *, columns: int, height: int) -> np.ndarray:
    """Scenes of {folder: (h, w, 3) uint8} -> (h, w, 3) uint8; each row has `columns` scenes."""
    rows = [scenes[start : start + columns] for start in range(0, len(scenes), columns)]
    strips = [_joined([_joined([_scaled(x, height) for x in s.values()], GAP) for s in row], SPACE) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    blocks = [_titles(rows[0], height, width)]
    for strip in strips:
        filled = np.full((height, width, 3), BACKGROUND, np.uint8)
        filled[:, : strip.shape[1]] = strip
        blocks += [filled, np.full((GAP, width, 3), BACKGROUND, np.uint8)]
    return np.concatenate(blocks[:-1])


def _square(image: np.ndarray) -> np.ndarray:
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def _scaled(image: np.ndarray, height: int) -> np.ndarray:
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def _joined(images: Sequence[np.ndarray], gap: int) -> np.ndarray:
    space = np.full((images[0].shape[0], gap, 3), BACKGROUND, np.uint8)
    return np.concatenate([part for image in images for part in (image, space)][:-1], axis=1)


def _titles(row: Sequence[Mapping[str, np.ndarray]], height: int, width: int) -> np.ndarray:
    """The folders' names above the images of the first row."""
    line = Image.new("RGB", (width, TEXT), BACKGROUND)
    draw, left = ImageDraw.Draw(line), 0
    font = ImageFont.load_default(size=12)
    for scene in row:
        for name, image in scene.items():
            draw.text((left + 2, 1), name, fill=FOREGROUND, font=font)
            left += _scaled(image, height).shape[1] + GAP
        left += SPACE - GAP
    return np.asarray(line)


if __name__ == "__main__":
    sys.exit(run(lambda: main()))
