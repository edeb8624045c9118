"""A method whose images another program wrote: "folder:NAME=PATH" of config.eval.baselines.

PATH has an image for each one of the data set, with its name (that of restored/ and per_image.csv) and any suffix that
`read_image` knows. If the program changed the names, the last part of PATH is a pattern, in which * stands for the
name: folder:MyNet=out/*_MyNet. The size must be that of the reference. config.eval.images="all" writes the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image
from ultrabm_jax.image.listing import affix_hint
from ultrabm_jax.metrics.folders import list_named

PREFIX = "folder:"
MAX_NAMES = 5  # names that a message lists


def parse_folder(field: str) -> tuple[str, str]:
    """(NAME, PATH) of "folder:NAME=PATH". Raises UserError for another form."""
    name, equals, path = field.removeprefix(PREFIX).partition("=")
    if not (field.startswith(PREFIX) and name and equals and path):
        raise UserError(f"a folder of images is folder:NAME=PATH, such as folder:MyNet=out/mynet; not {field!r}")
    return name, path


def find_files(path: str, names: Sequence[str]) -> dict[str, Path]:
    """{name: file} for all `names`. Raises UserError, with the names, if some are missing."""
    listed = list_named(path)
    files = {name: listed.get(name) for name in names}
    if missing := [name for name, file in files.items() if file is None]:
        shown = ", ".join(missing[:MAX_NAMES]) + (", ..." if len(missing) > MAX_NAMES else "")
        hint = affix_hint(missing, set(listed) - set(names))
        hint = f" ({hint}; a pattern such as {path}/*_suffix says so)" if hint else ""
        raise UserError(f"{path}: {len(missing)} of {len(names)} images are missing: {shown}{hint}")
    return {name: file for name, file in files.items() if file is not None}


def read_restored(file: Path, size: tuple[int, int]) -> np.ndarray:
    """The image as float32 (h, w, 3). Raises UserError unless its (h, w) is `size`."""
    image = read_image(file).rgb
    if image.shape[:2] != size:
        (h, w), (height, width) = image.shape[:2], size
        raise UserError(f"{file} has {w}x{h} pixels, but the comparison needs {width}x{height}")
    return image
