"""Lists images without references: any folder, or the sample images that the scikit-image wheel contains.

The sample images need no download. Three natural scenes (a person, an animal, a still life) are held out for
evaluation; their mean brightness, 0.39 to 0.45, is similar to that of the training images, 0.26 to 0.51. The two views
of the motorcycle show one scene, so both are training images. Gray images are used as gray RGB, because there are few
colour images and super-resolution learns from texture. Excluded: microscopy (ihc, cell), the deep field (almost
black), drawings (logo, horse, color) and scans of text.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from input_pipeline.files.listing import Defect, MissingData, files_below
from ultrabm_jax.errors import UserError
from ultrabm_jax.extras import missing_extra
from ultrabm_jax.image import is_image
from ultrabm_jax.image.listing import is_folder, is_utf8, similar_folder

SKIMAGE = {
    "train": (
        "motorcycle_left.png", "motorcycle_right.png", "rocket.jpg", "retina.jpg",
        "brick.png", "camera.png", "coins.png", "grass.png", "gravel.png",
    ),
    "eval": ("astronaut.png", "chelsea.png", "coffee.png"),
}  # fmt: skip


def find_photos(root: str, *, split: str, option: str = "data.root") -> tuple[dict[str, Path], list[Defect]]:
    """Maps names to files, in a fixed order, and lists defects; names are paths below the root without the extension.

    root: a folder, searched at any depth, or "skimage". option: the flag or field that sets it, for error messages.
    """
    if root == "skimage":
        return _skimage_photos(split), []
    folder = Path(root).expanduser()
    if not root or not is_folder(folder):
        similar = similar_folder(folder) if root and not folder.exists() else None
        hint = f" (did you mean {similar}?)" if similar is not None else ""
        wrong = f"{root} is not a folder{hint}" if root else f"{option} is not set"
        raise MissingData(f"{wrong}: point {option} at a folder of photos (any depth), or set it to skimage")
    files, defects = files_below(folder, is_image)
    found: dict[str, Path] = {}
    for path in files:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if not is_utf8(name):
            defects.append(Defect("bad name", f"{path} (not UTF-8: rename it)"))
        elif name in found:
            defects.append(Defect("duplicate name", f"{found[name]}, {path}"))
        else:
            found[name] = path
    return found, defects


def _skimage_photos(split: str) -> dict[str, Path]:
    spec = importlib.util.find_spec("skimage")  # locates the package without importing it
    if spec is None or spec.origin is None:
        raise UserError(missing_extra("skimage", "data.root=skimage"))
    folder = Path(spec.origin).parent / "data"
    files = {Path(name).stem: folder / name for name in SKIMAGE[split]}
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        raise UserError(f"this scikit-image lacks {', '.join(missing)} in {folder}; install it again from PyPI")
    return files
