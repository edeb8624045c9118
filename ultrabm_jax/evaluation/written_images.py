"""The images of all methods as PNG files, so that other programs get the same inputs and can be compared.

images/input/NAME.png       what every method restores; not of camera raw files, which exist as files
images/reference/NAME.png
images/METHOD/NAME.png      characters that a folder cannot have are replaced by _
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import write_image

FOLDER = "images"
INPUT, REFERENCE = "input", "reference"
# Called with the name of an image and its versions (h, w, 3): those of the methods, "input" and "reference".
ImageWriter: TypeAlias = Callable[[str, Mapping[str, np.ndarray]], None]


def image_writer(images: str, folder: Path, methods: Iterable[str]) -> ImageWriter:
    """The writer for config.eval.images: below `folder` for "all", one that does nothing for "model".

    Raises UserError for another value, or if two methods need the same folder.
    """
    if images not in ("model", "all"):
        raise UserError(f"config.eval.images is model or all, not {images!r}")
    if images == "model":
        return lambda name, written: None
    folders = {name: folder_name(name) for name in methods}
    used = [*folders.values(), INPUT, REFERENCE]
    if twice := sorted({name for name in used if used.count(name) > 1}):
        raise UserError(f"config.eval.images: several methods would be written to {FOLDER}/{twice[0]}; rename one")
    folders |= {INPUT: INPUT, REFERENCE: REFERENCE}
    return lambda name, written: _write({folder / FOLDER / folders[m] / f"{name}.png": x for m, x in written.items()})


def _write(images: Mapping[Path, np.ndarray]) -> None:
    for path, image in images.items():
        deep = image.dtype == np.uint16
        write_image(path, image / np.float32(65535) if deep else image, bits=16 if deep else 8)


def folder_name(method: str) -> str:
    """`method` as the name of a folder: "sci=>runs/x2" -> "sci_runs_x2"."""
    return re.sub(r"[^\w.+-]+", "_", method).strip("_.") or "_"
