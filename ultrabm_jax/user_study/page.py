"""Writes the page of a study and its key.

STUDY/index.html      the questions; needs no server and no network, and downloads the answers as a JSON file
STUDY/images/CODE.jpg or .png    copies of the images under names that do not tell the method
STUDY/key.json        {"study": id, "criteria": [...], "items": {CODE: {"image": ..., "method": ...}}}; stays private
"""

from __future__ import annotations

import hashlib
import html
import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.written_images import INPUT
from ultrabm_jax.image import read_rgb_uint8, write_image
from ultrabm_jax.image.write import write_file
from ultrabm_jax.metrics.folders import Paths, pair

HERE = Path(__file__).parent
CRITERIA = ("content naturalness", "colour deviation")  # DRGN's CN and CD
LOWEST, HIGHEST, STEP = 1.0, 5.0, 0.5
CODE_LENGTH = 10  # hexadecimal digits


def write_study(
    folder: Path,
    methods: Mapping[str, Paths],
    *,
    criteria: Sequence[str] = CRITERIA,
    images: Sequence[str] | None = None,
    seed: int = 0,
) -> int:
    """Writes a study of `methods` ({method: {image: file}}); returns the number of images to rate.

    The images of "input", if there are some, are shown beside the others and not rated. `images`: the images of the
    study; None: all. `seed` makes the codes and, with a rater's name, the order.
    Raises UserError if an image is missing or if fewer than two methods are compared.
    """
    rated = [name for name in methods if name != INPUT]
    if len(rated) < 2:
        raise UserError("a study compares at least two methods besides input")
    first, *others = methods
    common, missing = pair(methods[first], {name: methods[name] for name in others})
    if missing and images is None:
        raise UserError(f"the folders have different images; --images chooses some: {'; '.join(missing)}")
    chosen = list(images) if images is not None else common
    for image in chosen:
        if image not in common:
            raise UserError(f"{image} is not in every folder; {', '.join(common[:8])} are")
    codes = {(image, method): _code(seed, image, method) for image in chosen for method in methods}
    for (image, method), code in codes.items():
        write_image(folder / "images" / f"{code}.png", read_rgb_uint8(methods[method][image]) / np.float32(255))
    study = hashlib.sha256(" ".join(sorted(codes.values())).encode()).hexdigest()[:CODE_LENGTH]
    scenes = [
        {"input": codes.get((image, INPUT)), "codes": sorted(codes[image, method] for method in rated)}
        for image in chosen
    ]
    _write_page(folder / "index.html", {"study": study, "seed": seed, "criteria": list(criteria), "scenes": scenes})
    items = {codes[image, method]: {"image": image, "method": method} for image in chosen for method in rated}
    key = {"study": study, "criteria": list(criteria), "items": items}
    write_file(folder / "key.json", (json.dumps(key, indent=2) + "\n").encode())
    return len(items)


def _code(seed: int, image: str, method: str) -> str:
    """A file name that tells nothing about the method."""
    return hashlib.sha256(f"{seed}\0{image}\0{method}".encode()).hexdigest()[:CODE_LENGTH]


def _write_page(path: Path, data: Mapping[str, Any]) -> None:  # Any: JSON
    steps = np.arange(LOWEST, HIGHEST + STEP / 2, STEP)
    page = string.Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        data=json.dumps(data).replace("<", "\\u003c"),
        criteria=html.escape(" and ".join(data["criteria"])),
        steps=json.dumps([float(step) for step in steps]),
    )
    write_file(path, page.encode())
