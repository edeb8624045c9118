"""The frames of a video file or of a folder of images, in order.

Frames of a file are decoded to RGB by the colour matrix that it states, else by BT.709 from 720 lines on and BT.601
below, and turned upright. They keep their times, also at a variable frame rate, unless a frame rate is given: then
frame k is the last one that starts no later than k / fps, so that the duration stays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.extras import missing_extra
from ultrabm_jax.image import is_image, read_image

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

HD_LINES = 720
PQ, HLG = 16, 18  # transfer curves of HDR
BT601, BT709, UNSPECIFIED = 5, 1, 2  # colour matrices, as FFmpeg numbers them


class Frame(Protocol):
    """A frame, decoded to RGB by `pixels`."""

    @property
    def time(self) -> Fraction:
        """Start in seconds."""

    def pixels(self) -> np.ndarray:
        """(h, w, 3) float32 in [0, 1]."""


class Source(Protocol):
    """A clip."""

    path: Path
    time_base: Fraction  # seconds; the times of the frames are multiples
    rate: Fraction  # frames per second, on average

    def frames(self) -> Iterator[Frame]:
        """All frames in order, from the first one."""

    def count(self) -> int:
        """The number of frames that `frames` gives; for a damaged file, an estimate."""


@dataclass(frozen=True)
class FolderFrame:
    """An image file of a folder."""

    path: Path
    time: Fraction

    def pixels(self) -> np.ndarray:
        """Transparency is dropped."""
        return read_image(self.path).rgb


class FrameFolder:
    """The images directly in a folder, in the order of the numbers in their names, `fps` a second."""

    def __init__(self, path: Path, fps: Fraction) -> None:
        self.path, self.time_base, self.rate = path, 1 / fps, fps
        self._files = sorted(filter(is_image, path.iterdir()), key=_natural)
        if not self._files:
            raise UserError(f"{path}: no images in this folder")

    def frames(self) -> Iterator[Frame]:
        """One for each image."""
        yield from (FolderFrame(file, k * self.time_base) for k, file in enumerate(self._files))

    def count(self) -> int:
        """The number of images."""
        return len(self._files)


@dataclass(frozen=True)
class VideoFrame:
    """A decoded frame of a video file."""

    frame: av.VideoFrame
    time: Fraction

    def pixels(self) -> np.ndarray:
        """8 bits or, of deeper videos, 16."""
        frame, deep = self.frame, self.frame.format.components[0].bits > 8
        matrix = frame.colorspace
        if matrix == UNSPECIFIED:
            matrix = BT709 if frame.height >= HD_LINES else BT601
        rgb = frame.reformat(format="rgb48le" if deep else "rgb24", src_colorspace=matrix).to_ndarray()
        upright = np.rot90(rgb, round(frame.rotation / 90))  # counterclockwise, as FFmpeg states it
        return np.ascontiguousarray(upright, np.float32) / np.float32(65535 if deep else 255)


class VideoFile:
    """A video file; `fps` takes that many frames of it a second instead of all."""

    def __init__(self, path: Path, fps: Fraction | None = None) -> None:
        self.path, self._fps = path, fps
        with open_video(path) as container:
            stream = container.streams.video[0]
            if stream.codec_context.color_trc in (PQ, HLG):
                raise UserError(f"{path}: an HDR video; convert it to SDR first")
            if not stream.time_base:
                raise UserError(f"{path}: its frames have no times")
            self.time_base = exact(stream.time_base) if fps is None else 1 / fps
            self.rate = fps or (exact(stream.average_rate) if stream.average_rate else 1 / self.time_base)
            self.has_audio = bool(container.streams.audio)

    def frames(self) -> Iterator[Frame]:
        """Those of the first video stream."""
        every = self._decoded()
        return every if self._fps is None else resampled(every, self._fps)

    def count(self) -> int:
        """Counts packets, which takes seconds for an hour of video."""
        with open_video(self.path) as container:
            stream = container.streams.video[0]
            times = [p.pts * exact(p.time_base) for p in container.demux(stream) if p.pts is not None and p.time_base]
        if self._fps is None or len(times) < 2:
            return len(times)
        end = max(times) + (max(times) - min(times)) / (len(times) - 1)
        return math.ceil(end * self._fps) - math.ceil(min(times) * self._fps)

    def _decoded(self) -> Iterator[VideoFrame]:
        import av

        with open_video(self.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            try:
                for frame in container.decode(stream):
                    if frame.pts is not None and frame.time_base is not None:
                        yield VideoFrame(frame, frame.pts * exact(frame.time_base))
            except av.FFmpegError as error:
                raise UserError(f"{self.path}: cannot be decoded ({first_line(error)})") from error


def resampled(frames: Iterator[VideoFrame], fps: Fraction) -> Iterator[VideoFrame]:
    """Frames at the multiples of 1 / fps from the first frame on: each is the last one that has started by then.

    The last frame lasts as long as the one before it.
    """
    last: VideoFrame | None = None
    k, duration = 0, 1 / fps
    for frame in frames:
        if last is None:
            k = math.ceil(frame.time * fps)
        else:
            duration = frame.time - last.time
            while k / fps < frame.time:
                yield VideoFrame(last.frame, k / fps)
                k += 1
        last = frame
    while last is not None and k / fps < last.time + duration:
        yield VideoFrame(last.frame, k / fps)
        k += 1


class Rational(Protocol):
    """Fraction, or PyAV's type for fractions."""

    @property
    def numerator(self) -> int:
        """Above the line."""

    @property
    def denominator(self) -> int:
        """Below the line."""


def exact(rational: Rational) -> Fraction:
    """The value as a Fraction."""
    return Fraction(rational.numerator, rational.denominator)


def open_video(path: Path) -> InputContainer:
    """An open file with a video stream. Raises UserError for another file and without PyAV."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise UserError(missing_extra("av", "video files")) from error
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a video ({first_line(error)})") from error
    if not container.streams.video:
        container.close()
        raise UserError(f"{path}: has no video stream")
    return container


def _natural(path: Path) -> list[tuple[int, str]]:
    """frame2 before frame10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
