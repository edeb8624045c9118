"""Restores one clip: frames -> parts -> a video file with the input's audio."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.write import check_folder
from ultrabm_jax.inference.progress import INTERVAL, format_seconds
from ultrabm_jax.inference.records import state_of
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.logging import logger
from ultrabm_jax.video.parts import PART_FRAMES, PartWriter, check_target, complete_parts, join
from ultrabm_jax.video.source import Frame, FrameFolder, Source, VideoFile
from ultrabm_jax.video.steady import steady_statistics

SETTINGS = "settings.json"  # of the parts in a folder
CONTAINERS = frozenset({".m4v", ".mkv", ".mov", ".mp4"})  # that outputs may have
DEFAULT_CONTAINER = ".mp4"


@dataclass(frozen=True)
class VideoOptions:
    """How clips are restored and written."""

    codec: str = "h264"
    steady: str = "clip"
    fps: Fraction | None = None
    settings: str = ""  # what else the frames depend on, such as the model; other parts are not continued


def target_of(source: Path, output: Path | None) -> Path:
    """SOURCE_restored.SUFFIX beside the source, or in the folder `output`, or the file `output` if it has a suffix.

    Other containers than `CONTAINERS` become .mp4; from a folder, too.
    """
    if output is not None and output.suffix.lower() in CONTAINERS and not output.is_dir():
        return output
    suffix = source.suffix if source.suffix.lower() in CONTAINERS and not source.is_dir() else DEFAULT_CONTAINER
    name = source.name if source.is_dir() else source.stem
    return source.parent / f"{name}_restored{suffix}" if output is None else output / f"{name}{suffix}"


def open_source(path: Path, fps: Fraction | None) -> Source:
    """A video file or a folder of frames. A folder needs `fps`."""
    if not path.is_dir():
        return VideoFile(path, fps)
    if fps is None:
        raise UserError(f"{path}: a folder of frames needs --fps")
    return FrameFolder(path, fps)


def restore_clip(
    restorer: Restorer,
    path: Path,
    target: Path,
    options: VideoOptions,
    *,
    announce: Callable[[], None] = lambda: None,
) -> None:
    """Restores the clip `path` to `target`, and continues where an earlier call was interrupted.

    announce: called before `target` is written, or replaced. Raises UserError if the clip cannot be read or written.
    """
    check_folder(target.parent)
    source = open_source(path, options.fps)
    folder = target.with_name(f".{target.name}.parts")
    target.parent.mkdir(parents=True, exist_ok=True)
    audio = path if isinstance(source, VideoFile) and source.has_audio else None
    check_target(target, codec=options.codec, audio=audio)  # before the hours that the frames may take
    _prepare(folder, _settings(path, options))
    done = sum(part.frames for part in complete_parts(folder))
    if done:
        logger.info(f"{path}: continues at frame {done + 1}")
    statistics = steady_statistics(options.steady, restorer, source)

    def restore(frame: Frame) -> np.ndarray:
        return restorer.restore(frame.pixels(), statistics=statistics(frame.time))

    try:
        _encode(source, restore, folder, done, options)
    except KeyboardInterrupt:
        done = sum(part.frames for part in complete_parts(folder))
        logger.info(f"{path}: {done} frames done; the same command continues")
        raise
    announce()
    join(complete_parts(folder), target, time_base=source.time_base, rate=source.rate, audio=audio)
    shutil.rmtree(folder)


def _encode(
    source: Source, restore: Callable[[Frame], np.ndarray], folder: Path, done: int, options: VideoOptions
) -> None:
    """Encodes the frames from number `done` on, in parts."""
    total, progress = source.count(), FrameProgress(done)
    writer: PartWriter | None = None
    shape: tuple[int, ...] | None = None
    try:
        for number, frame in enumerate(source.frames()):
            if number < done:
                continue
            if writer is None or writer.frames == PART_FRAMES:
                if writer is not None:
                    writer.close()
                writer = PartWriter(
                    folder,
                    number,
                    codec=options.codec,
                    time_base=source.time_base,
                    rate=source.rate,
                    pixel_aspect=frame.pixel_aspect,
                )
            restored = restore(frame)
            shape = shape or restored.shape
            if restored.shape != shape:
                raise UserError(f"{source.path}: frame {number + 1} has another size than the frames before it")
            writer.add(restored, round(frame.time / source.time_base))
            progress(number + 1, total)
    finally:
        if writer is not None:
            writer.close()
    if not complete_parts(folder):
        raise UserError(f"{source.path}: has no frames")


class FrameProgress:
    """Logs the number of frames, the frames per second and the time left, at most every `INTERVAL` seconds.

    The first frame, which may include compilation, is not counted.
    """

    def __init__(self, done: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._done = clock, done
        self._first: float | None = None
        self._logged = clock()

    def __call__(self, number: int, total: int) -> None:
        """Frame `number` of `total` is done."""
        now = self._clock()
        if self._first is None:
            self._first, self._done = now, number
            return
        if number < total and now - self._logged < INTERVAL:
            return
        self._logged = now
        rate = (number - self._done) / max(now - self._first, 1e-9)
        left = f", about {format_seconds((total - number) / rate)} left" if number < total else ""
        logger.info(f"frame {number} of {total}, {rate:.3g} frames per second{left}")


def _settings(path: Path, options: VideoOptions) -> str:
    """What the parts depend on."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = [(file.name, state.size, state.modified) for file in files if (state := state_of(file, hashed=False))]
    digest = hashlib.sha256(json.dumps(states).encode()).hexdigest()
    chosen = (options.codec, options.steady, str(options.fps), options.settings)
    return json.dumps({"input": digest, "options": chosen})


def _prepare(folder: Path, settings: str) -> None:
    """Creates the folder of the parts; parts of other settings are deleted."""
    stated = folder / SETTINGS
    if folder.exists() and not (stated.is_file() and stated.read_text() == settings):
        logger.info(f"{folder}: parts of another input or of other flags; starting again")
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    stated.write_text(settings)
