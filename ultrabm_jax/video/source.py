"""The frames of a video file or of a folder of images, in order.

Frames of a file are decoded to RGB by the colour matrix that it states, else by BT.709 from 720 lines on and BT.601
below, and turned upright. They keep their times, also at a variable frame rate, unless a frame rate is given: then
frame k is the last one that starts no later than k / fps, so that the duration stays. Times always increase: a frame
without a time, or with one that is not later than that of the frame before it, follows that one at the average rate.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

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

    @property
    def pixel_aspect(self) -> Fraction:
        """The width of a pixel over its height, as it is to be shown."""

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
    pixel_aspect = Fraction(1)

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
    coded_aspect: Fraction = Fraction(1)  # before the frame is turned upright

    @property
    def pixel_aspect(self) -> Fraction:
        """The inverse of the coded one if the frame is turned on its side."""
        return 1 / self.coded_aspect if self._quarter_turns % 2 else self.coded_aspect

    @property
    def _quarter_turns(self) -> int:
        return round(self.frame.rotation / 90)  # counterclockwise, as FFmpeg states it

    def pixels(self) -> np.ndarray:
        """8 bits or, of deeper videos, 16."""
        frame, deep = self.frame, self.frame.format.components[0].bits > 8
        matrix = frame.colorspace
        if matrix == UNSPECIFIED:
            matrix = BT709 if frame.height >= HD_LINES else BT601
        rgb = frame.reformat(format="rgb48le" if deep else "rgb24", src_colorspace=matrix).to_ndarray()
        upright = np.rot90(rgb, self._quarter_turns)
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
            self._average_rate = exact(stream.average_rate or 1 / stream.time_base)
            self.time_base, self.rate = (exact(stream.time_base), self._average_rate) if fps is None else (1 / fps, fps)
            self.has_audio = bool(container.streams.audio)

    def frames(self) -> Iterator[Frame]:
        """Those of the first video stream."""
        every = self._decoded()
        return every if self._fps is None else resampled(every, self._fps, usual=1 / self._average_rate)

    def count(self) -> int:
        """Counts packets, which takes seconds for an hour of video."""
        with open_video(self.path) as container:
            stream = container.streams.video[0]
            packets = [(_start(p) or Fraction(0), _duration(p)) for p in container.demux(stream) if p.size]
        if self._fps is None or not packets:
            return len(packets)
        first, (last, duration) = min(packets)[0], max(packets)
        end = last + (duration or 1 / self._average_rate)
        return math.ceil(end * self._fps) - math.ceil(first * self._fps)

    def _decoded(self) -> Iterator[VideoFrame]:
        import av

        with open_video(self.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            aspect = exact(stream.sample_aspect_ratio) if stream.sample_aspect_ratio else Fraction(1)
            times = increasing(1 / self._average_rate, unit=exact(stream.time_base))
            try:
                for frame, start in _timed(container, stream):
                    yield VideoFrame(frame, times(start), aspect)
            except av.FFmpegError as error:
                raise UserError(f"{self.path}: cannot be decoded ({reason(error)})") from error


def _timed(container: InputContainer, stream: av.VideoStream) -> Iterator[tuple[av.VideoFrame, Fraction | None]]:
    """The frames as they are shown, each with its start; None if the file states none.

    AVI states times of packets in the order of decoding, so that the frames take them in ascending order.
    """
    ascending = container.format.name == "avi"
    starts: list[Fraction] = []
    for packet in container.demux(stream):
        if ascending and (start := _start(packet)) is not None:
            heapq.heappush(starts, start)
        for frame in packet.decode():
            yield frame, (heapq.heappop(starts) if starts else None) if ascending else _start(frame)


# Any: of a packet's stream, which is a video or an audio stream.
def _start(part: av.VideoFrame | av.Packet[Any]) -> Fraction | None:
    """The time at which a frame or packet starts, in seconds; without one, the time of its decoding."""
    ticks = part.dts if part.pts is None else part.pts
    return None if ticks is None or part.time_base is None else ticks * exact(part.time_base)


def _duration(part: av.VideoFrame | av.Packet[Any]) -> Fraction:
    """Seconds; 0 if the file does not state them."""
    return Fraction(0) if part.time_base is None else (part.duration or 0) * exact(part.time_base)


def increasing(step: Fraction, *, unit: Fraction) -> Callable[[Fraction | None], Fraction]:
    """A function that is called with the stated start of each frame and gives its start, a multiple of `unit`.

    A missing start, and one that is not later than the start before it, becomes `step` after that one.
    """
    step = max(round(step / unit), 1) * unit
    last: Fraction | None = None

    def start_of(stated: Fraction | None) -> Fraction:
        nonlocal last
        if last is None:
            last = stated or Fraction(0)
        else:
            last = stated if stated is not None and stated > last else last + step
        return last

    return start_of


def resampled(frames: Iterator[VideoFrame], fps: Fraction, *, usual: Fraction) -> Iterator[VideoFrame]:
    """Frames at the multiples of 1 / fps from the first frame on: each is the last one that has started by then.

    The last frame lasts as long as the file states, or else the `usual` time of a frame.
    """
    last: VideoFrame | None = None
    k = 0
    for frame in frames:
        if last is None:
            k = math.ceil(frame.time * fps)
        else:
            while k / fps < frame.time:
                yield replace(last, time=k / fps)
                k += 1
        last = frame
    while last is not None and k / fps < last.time + (_duration(last.frame) or usual):
        yield replace(last, time=k / fps)
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
        container = av.open(url_of(path))
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a video ({reason(error)})") from error
    if not container.streams.video:
        container.close()
        raise UserError(f"{path}: has no video stream")
    return container


def reason(error: Exception) -> str:
    """What went wrong, without the number and the file that FFmpeg's messages have, too."""
    return getattr(error, "strerror", None) or first_line(error)


def url_of(path: Path) -> str:
    """The file for FFmpeg, which would read `12:30.mp4` as an address."""
    return f"file:{path}"


def _natural(path: Path) -> list[tuple[int, str]]:
    """frame2 before frame10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
