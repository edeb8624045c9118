"""What a click on "Restore" computes: an uploaded file and the page's settings -> files to compare and to download.

The page shows previews of at most `PREVIEW` pixels a side. The restored image itself is kept in float32, so that it
can be downloaded in every format without restoring it again.
"""

from __future__ import annotations

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
from ultrabm_jax.image.resize import LANCZOS, resize
from ultrabm_jax.inference.images import Restore, restore_mosaic, restore_photo
from ultrabm_jax.inference.named import FORMULAS
from ultrabm_jax.inference.progress import format_seconds
from ultrabm_jax.raw import CAMERA_SUFFIXES, read_raw
from ultrabm_jax.raw.amplification import amplification
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


@dataclass(frozen=True)
class Settings:
    """The page's controls. Those that do not apply to the model are ignored."""

    model: str
    stops: float = 0.0  # of photos: exposure of the restored image
    m: float = 0.0  # of camera raw files: brightness as in `amplification`; 0: automatic
    temperature: float = 0.0  # of models of a distribution, as the next two
    samples: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """A restored file. `after` and `arrays` hold one entry for each sample."""

    name: str  # of the input, without its suffix
    before: Path  # preview of the input
    after: tuple[Path, ...]  # previews, of the size of `before`
    arrays: tuple[Path, ...]  # the restored images, float32 .npy
    photo: Image | None  # the photo without its pixels: profile, EXIF, resolution
    summary: str


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
    """Restores an uploaded file and writes previews and arrays into `folder`, which exists.

    Raises UserError for a file that cannot be read, a model that does not fit it, settings out of range, and an image
    that does not fit into memory; the message names the file without its folder.
    """
    start = time.monotonic()
    try:
        kind = input_kind(upload)
        if models.input_kind(settings.model) != kind:
            raise UserError(_wrong_kind(models, settings.model, kind))
        given = _open_raw(models, upload, settings) if kind == "mosaic" else _open_photo(models, upload, settings)
        after, arrays, size = [], [], (0, 0)
        for index, compute in enumerate(given.restored):
            restored = compute()
            size = restored.shape[:2]
            after.append(_write_preview(folder / f"after_{index}.png", restored, size))
            arrays.append(folder / f"restored_{index}.npy")
            np.save(arrays[-1], restored)
        before = _write_preview(folder / "before.png", given.before, size)
    except UserError as error:
        raise UserError(str(error).replace(str(upload), upload.name)) from error
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(f"{upload.name} does not fit into memory") from error
    low = f"{given.before.shape[1]} x {given.before.shape[0]}"
    facts = [f"{upload.name}: {low} to {size[1]} x {size[0]} pixels", settings.model]
    facts += [*given.notes, format_seconds(time.monotonic() - start)]
    return Result(upload.stem, before, tuple(after), tuple(arrays), given.photo, ", ".join(facts))


def write_download(result: Result, sample: int, kind: str, folder: Path) -> Path:
    """Writes one restored image as a file of a kind of `DOWNLOADS`, with its input's profile and EXIF."""
    suffix, bits = DOWNLOADS[kind]
    number = f"_sample{sample + 1}" if len(result.arrays) > 1 else ""
    target = folder / f"{result.name}_restored{number}{suffix}"
    restored, photo = np.load(result.arrays[sample]), result.photo
    if photo is None:
        write_image(target, restored, bits=bits)
    else:
        write_image(target, restored, bits=bits, icc=photo.icc, exif=photo.exif, dpi=photo.dpi)
    return target


def _wrong_kind(models: Models, model: str, kind: InputKind) -> str:
    proposed = models.model_for(kind, model)
    return f"{model} restores {INPUTS[models.input_kind(model)]}; for {INPUTS[kind]} choose {proposed}, for example"


def _open_photo(models: Models, upload: Path, settings: Settings) -> _Input:
    photo = read_image(upload)
    restorers = _photo_restorers(models, settings)
    restored = tuple(partial(restore_photo, restore, photo, stops=settings.stops) for restore in restorers)
    header = Image(photo.rgb[:0], icc=photo.icc, exif=photo.exif, dpi=photo.dpi)
    gain = (f"{settings.stops:+g} stops",) if settings.stops else ()
    return _Input(photo.rgb, restored, header, gain + photo.notes)


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
    notes = (f"amplified {factor:.1f} times", *raw.notes)
    return _Input(before, (partial(restore_mosaic, restorer.restore, raw, factor),), None, notes)


def _write_preview(path: Path, image: np.ndarray, size: tuple[int, int]) -> Path:
    """Writes `image` at the size of the preview of an image of `size`; previews to compare have one size."""
    factor = min(1.0, PREVIEW / max(size))
    shown = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    pixels = np.ascontiguousarray(image[..., :3])
    write_image(path, pixels if pixels.shape[:2] == shown else resize(pixels, shown, LANCZOS))
    return path
