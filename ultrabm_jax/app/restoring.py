"""What a click on "Restore" computes: an uploaded file and the page's settings -> files to compare and to download.

The network runs once for an upload and its settings. Its result is kept on disk, in float32: the exposure, the sample
that is shown and the format of the download are applied to it. The page shows previews of at most `PREVIEW` pixels a
side.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np

from ultrabm_jax.app.models import INPUTS, Models
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import Image, read_image, write_image
from ultrabm_jax.image.exposure import expose
from ultrabm_jax.image.resize import LANCZOS, resize
from ultrabm_jax.inference.images import Restore, restore_mosaic, restore_photo
from ultrabm_jax.inference.named import FORMULAS
from ultrabm_jax.inference.progress import format_seconds
from ultrabm_jax.raw import CAMERA_SUFFIXES, read_raw
from ultrabm_jax.raw.amplification import amplification, burnt_out_notes
from ultrabm_jax.raw.rendering import mosaic_preview
from ultrabm_jax.typing import InputKind

PREVIEW = 2048  # pixels
# Suffix and bits per channel of each kind of download.
DOWNLOADS: Mapping[str, tuple[str, int]] = {
    "PNG, 8 bits": (".png", 8),
    "PNG, 16 bits": (".png", 16),
    "TIFF, 16 bits": (".tif", 16),
}
MAX_SAMPLES = 16
SQUARE, BOARD = 16, (0.8, 0.9)  # pixels and shades of the squares behind transparent areas


@dataclass(frozen=True)
class Settings:
    """The controls that the network's result depends on. Those that do not apply to the model are ignored."""

    model: str
    m: float = 0.0  # of camera raw files: brightness as in `amplification`; 0: automatic
    temperature: float = 0.0  # of models of a distribution, as the next two
    samples: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """A restored file, without exposure. `previews` and `arrays` hold one entry for each sample, float32 .npy."""

    upload: Path
    settings: Settings
    folder: Path  # of the other files
    before: Path  # preview of the input, .png
    previews: tuple[Path, ...]  # of the size of `before`
    arrays: tuple[Path, ...]  # the restored images
    photo: Image | None  # the photo without its pixels: profile, EXIF, resolution; None: a camera raw file
    facts: tuple[str, ...]  # sizes, model, notes, time

    def is_of(self, upload: Path, settings: Settings) -> bool:
        """Whether the network would compute the same again."""
        return self.upload == upload and self.settings == settings

    def summary(self, stops: float) -> str:
        """One line about the image that is shown with this exposure."""
        exposed = (f"{stops:+g} stops",) if stops and self.photo is not None else ()
        return ", ".join((*self.facts[:2], *exposed, *self.facts[2:]))


@dataclass(frozen=True)
class _Input:
    before: np.ndarray
    restored: tuple[Callable[[], np.ndarray], ...]  # each computes a sample
    photo: Image | None
    notes: tuple[str, ...]


def input_kind(upload: Path) -> InputKind:
    """What an uploaded file is, by its name."""
    return "mosaic" if upload.suffix.lower() in CAMERA_SUFFIXES else "rgb"


def restore_upload(models: Models, upload: Path, settings: Settings, folder: Path) -> Result:
    """Restores an uploaded file and writes arrays and the preview of the input into `folder`, which exists.

    Raises UserError for a file that cannot be read, a model that does not fit it, settings out of range, and an image
    that does not fit into memory; the message names the file without its folder.
    """
    start = time.monotonic()
    try:
        kind = input_kind(upload)
        if models.input_kind(settings.model) != kind:
            raise UserError(_wrong_kind(models, settings.model, kind))
        given = _open_raw(models, upload, settings) if kind == "mosaic" else _open_photo(models, upload, settings)
        previews, arrays, size = [], [], (0, 0)
        for index, compute in enumerate(given.restored):
            restored = compute()
            size = restored.shape[:2]
            previews.append(_save(folder / f"preview_{index}.npy", _shrunk(restored, size)))
            arrays.append(_save(folder / f"restored_{index}.npy", restored))
        before = folder / "before.png"
        write_image(before, over_board(_shrunk(given.before, size)))
    except UserError as error:
        raise UserError(str(error).replace(str(upload), upload.name)) from error
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(f"{upload.name} does not fit into memory") from error
    sizes = " to ".join(dict.fromkeys(f"{width} x {height}" for height, width in (given.before.shape[:2], size)))
    seconds = format_seconds(time.monotonic() - start)
    facts = (f"{upload.name}: {sizes} pixels", settings.model, *map(_without_flags, given.notes), seconds)
    return Result(upload, settings, folder, before, tuple(previews), tuple(arrays), given.photo, facts)


def write_preview(result: Result, sample: int, stops: float) -> Path:
    """Writes the preview of one restored image with an exposure; transparent areas show a board.

    Files that differ have different names, because browsers keep what they have loaded.
    """
    target = result.folder / f"after_{sample}_{stops:+g}.png"
    write_image(target, over_board(_exposed(result, result.previews[sample], stops)))
    return target


def write_download(result: Result, sample: int, kind: str, stops: float) -> Path:
    """Writes one restored image with an exposure, of a kind of `DOWNLOADS`, with its input's profile and EXIF.

    The file is in a new folder; the downloads before it are deleted.
    """
    suffix, bits = DOWNLOADS[kind]
    number = f"_sample{sample + 1}" if len(result.arrays) > 1 else ""
    for earlier in result.folder.glob("download_*"):
        shutil.rmtree(earlier, ignore_errors=True)
    target = (
        Path(tempfile.mkdtemp(prefix="download_", dir=result.folder)) / f"{result.upload.stem}_restored{number}{suffix}"
    )
    restored, photo = _exposed(result, result.arrays[sample], stops), result.photo
    if photo is None:
        write_image(target, restored, bits=bits)
    else:
        write_image(target, restored, bits=bits, icc=photo.icc, exif=photo.exif, dpi=photo.dpi)
    return target


def over_board(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) of an image with or without alpha: transparent areas show a board of light squares."""
    if image.shape[-1] == 3:
        return image
    rows, columns = np.indices(image.shape[:2]) // SQUARE
    board = np.where((rows + columns) % 2, *BOARD).astype(np.float32)[..., None]
    return image[..., :3] * image[..., 3:] + board * (1 - image[..., 3:])


def _exposed(result: Result, array: Path, stops: float) -> np.ndarray:
    """A kept array with an exposure; camera raw files have none."""
    restored: np.ndarray = np.load(array)
    if result.photo is not None:
        restored[..., :3] = expose(restored[..., :3], stops)
    return restored


def _save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def _without_flags(note: str) -> str:
    """A note of a reader without its advice for the command line."""
    return note.split("; give --")[0]


def _wrong_kind(models: Models, model: str, kind: InputKind) -> str:
    proposed = models.model_for(kind, model)
    return f"{model} restores {INPUTS[models.input_kind(model)]}; for {INPUTS[kind]} choose {proposed}, for example"


def _open_photo(models: Models, upload: Path, settings: Settings) -> _Input:
    photo = read_image(upload)
    restorers = _photo_restorers(models, settings)
    restored = tuple(partial(restore_photo, restore, photo) for restore in restorers)
    header = Image(photo.rgb[:0].copy(), icc=photo.icc, exif=photo.exif, dpi=photo.dpi)
    before = photo.rgb if photo.alpha is None else np.dstack([photo.rgb, photo.alpha])
    return _Input(before, restored, header, photo.notes)


def _photo_restorers(models: Models, settings: Settings) -> list[Restore]:
    """One for each sample; a deterministic model has one."""
    name = settings.model
    if name in FORMULAS:
        return [FORMULAS[name]]
    if not models.can_sample(name):
        return [models.restorer(name).restore]
    if not 1 <= settings.samples <= MAX_SAMPLES:
        raise UserError(f"samples are 1 to {MAX_SAMPLES}, not {settings.samples}")
    if settings.samples > 1 and not settings.temperature:
        raise UserError("at temperature 0 all samples are the same: raise the temperature, for example to 0.7")
    sampler = models.sampler(name).at(settings.temperature)
    return [partial(sampler, seed=settings.seed, index=index) for index in range(settings.samples)]


def _open_raw(models: Models, upload: Path, settings: Settings) -> _Input:
    if settings.m < 0:
        raise UserError(f"the brightness m is a number above 0, or 0 for automatic, not {settings.m:g}")
    raw = read_raw(upload)
    restorer = models.restorer(settings.model)
    restorer.task.require_cfa(raw.cfa, source=upload.name)
    factor = amplification("auto", raw.samples, settings.m or None)
    before = restore_mosaic(lambda samples: mosaic_preview(samples[..., 0], cfa=raw.cfa), raw, 1.0)
    notes = (f"amplified {factor:.1f} times", *burnt_out_notes(raw.samples, factor), *raw.notes)
    return _Input(before, (partial(restore_mosaic, restorer.restore, raw, factor),), None, notes)


def _shrunk(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`image` at the size of the preview of an image of `size`; previews to compare have one size."""
    factor = min(1.0, PREVIEW / max(size))
    shown = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    return image if image.shape[:2] == shown else resize(image, shown, LANCZOS)
