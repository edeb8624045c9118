"""Encoded parts of a restored clip, and the file that they become.

A clip is encoded in parts of at most `PART_FRAMES` frames in a hidden folder beside the output. A part whose name is
FIRSTFRAME_FRAMES_TIME.nut is complete: a run that is interrupted finishes its part, one that is killed loses it, and
the next run continues after the last complete one. At the end the packets of all parts, and those of the input's audio,
are copied into the output, without encoding them again.
"""

from __future__ import annotations

import contextlib
import heapq
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.write import quantise
from ultrabm_jax.video.source import BT709, exact, open_video, reason, url_of

if TYPE_CHECKING:
    import av

PART_FRAMES = 48
# For each of `ultrabm_jax.video.CODECS`: FFmpeg's encoder, and options for visually lossless files.
ENCODERS = {
    "h264": ("libx264", {"crf": "16", "preset": "medium"}),
    "h265": ("libx265", {"crf": "18", "preset": "medium", "x265-params": "log-level=error"}),
    "av1": ("libsvtav1", {"crf": "24", "preset": "6"}),
    "ffv1": ("ffv1", {}),
}
# Pixels of a side. Below, libsvtav1 fails, and libx265 fails or corrupts memory (at 33x33 for one).
SMALLEST = {"h265": 48, "av1": 16}
PIXELS = {"av1": "yuv420p", "ffv1": "bgr0"}  # of the others: yuv420p, at odd sizes yuv444p
LIMITED_RANGE = 1  # as FFmpeg numbers it


@dataclass(frozen=True)
class Part:
    """A complete part: its file, the number of its first frame, how many it has, and when it starts."""

    path: Path
    first: int
    frames: int
    start: int  # in the time base of the source


def complete_parts(folder: Path) -> list[Part]:
    """The parts that follow each other from frame 0 on."""
    parts: list[Part] = []
    for path in sorted(folder.glob("*_*_*.nut")):
        part = Part(path, *map(int, path.stem.split("_")))
        if part.first == sum(each.frames for each in parts):
            parts.append(part)
    return parts


class PartWriter:
    """Encodes one part; `close` completes it, if it has a frame."""

    def __init__(
        self, folder: Path, first: int, *, codec: str, time_base: Fraction, rate: Fraction, pixel_aspect: Fraction
    ) -> None:
        self._folder, self._first, self._codec = folder, first, codec
        self._time_base, self._rate, self._pixel_aspect = time_base, rate, pixel_aspect
        self._container: av.container.OutputContainer | None = None
        self._start = self.frames = 0

    def add(self, image: np.ndarray, pts: int) -> None:
        """Encodes (h, w, 3) in [0, 1] that is shown from `pts` on.

        Raises UserError if the codec has no frames of this size, or the part cannot be written.
        """
        import av

        if self._container is None:
            self._open(image, pts)
        pixels = np.ascontiguousarray(quantise(image, 8))
        yuv = {} if self._is_rgb else {"dst_colorspace": BT709, "dst_color_range": LIMITED_RANGE}
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=self._stream.pix_fmt, **yuv)
        frame.pts, frame.time_base = pts - self._start, self._time_base
        self._mux(frame)
        self.frames += 1

    @property
    def _is_rgb(self) -> bool:
        return PIXELS.get(self._codec) == "bgr0"

    def _open(self, image: np.ndarray, pts: int) -> None:
        import av

        if min(image.shape[:2]) < (side := SMALLEST.get(self._codec, 1)):
            raise UserError(f"{self._codec} has no frames of less than {side}x{side} pixels; choose --codec h264")
        self._container = av.open(url_of(self._temporary), "w", format="nut")
        name, options = ENCODERS[self._codec]
        stream = self._container.add_stream(name, rate=self._rate, options=options)
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        stream.height, stream.width = image.shape[:2]
        even = image.shape[0] % 2 == image.shape[1] % 2 == 0
        stream.pix_fmt = PIXELS.get(self._codec, "yuv420p" if even else "yuv444p")
        context.time_base = stream.time_base = self._time_base
        context.max_b_frames = 0  # packets are in the order of frames, so that parts can be joined
        context.flags |= av.codec.context.Flags.global_header
        context.sample_aspect_ratio = self._pixel_aspect
        if not self._is_rgb:
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = LIMITED_RANGE
        self._stream, self._start = stream, pts

    def _mux(self, frame: av.VideoFrame | None) -> None:
        import av

        assert self._container is not None
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except av.FFmpegError as error:
            self._container = None  # the part is lost: `close` would flush an encoder that failed
            raise UserError(f"{self._folder}: a frame cannot be written ({reason(error)})") from error

    @property
    def _temporary(self) -> Path:
        return self._folder / "unfinished.nut"

    def close(self) -> None:
        """Renames the part to its final name."""
        if self._container is None:
            return
        self._mux(None)
        self._container.close()
        name = f"{self._first:08d}_{self.frames}_{self._start}.nut"
        os.replace(self._temporary, self._folder / name)


def check_target(target: Path, *, codec: str, audio: Path | None) -> None:
    """Raises UserError if the container of `target` does not hold the codec, or the audio of the file `audio`."""
    import av

    temporary = _temporary_of(target)
    try:
        with av.open(url_of(temporary), "w") as output:
            output.add_stream(ENCODERS[codec][0])
        if audio is not None:
            with open_video(audio) as source, av.open(url_of(temporary), "w") as output:
                output.add_stream_from_template(source.streams.audio[0], opaque=True)
                output.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        raise _refused(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def join(parts: Sequence[Part], target: Path, *, time_base: Fraction, rate: Fraction, audio: Path | None) -> None:
    """Writes the output of all parts, with the first audio stream of the file `audio`, under a temporary name first.

    rate: frames per second, on average, which the output states.
    """
    import av

    temporary = _temporary_of(target)
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(av.open(url_of(temporary), "w"))
        try:
            with open_video(parts[0].path) as first:
                video = output.add_stream_from_template(first.streams.video[0], opaque=True)
            video.codec_context.framerate = rate
            packets = [_video_packets(parts, time_base, video)]
            if audio is not None:
                source = stack.enter_context(open_video(audio))
                sound = source.streams.audio[0]
                packets.append(_audio_packets(source, sound, output.add_stream_from_template(sound, opaque=True)))
            for _, _, packet in heapq.merge(*packets, key=lambda entry: entry[:2]):
                output.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            temporary.unlink(missing_ok=True)
            raise _refused(target, error) from error
    os.replace(temporary, target)


def _temporary_of(target: Path) -> Path:
    return target.with_name(f".{target.stem}.part{target.suffix}")


def _refused(target: Path, error: Exception) -> UserError:
    return UserError(f"{target}: this container does not hold the clip ({reason(error)}); use --output NAME.mkv")


# Any: of a packet's stream, which is a video or an audio stream.
def _video_packets(
    parts: Sequence[Part], time_base: Fraction, stream: av.VideoStream
) -> Iterator[tuple[Fraction, int, av.Packet[Any]]]:
    """The packets of one part after the other: an hour of video has more parts than a process may open files."""
    for part in parts:
        with open_video(part.path) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.pts is None or packet.time_base is None:  # flushes a decoder
                    continue
                unit = exact(packet.time_base) / time_base
                ticks, packet.duration = round(packet.pts * unit) + part.start, round((packet.duration or 0) * unit)
                packet.time_base = time_base
                packet.pts = packet.dts = ticks
                packet.stream = stream
                yield ticks * time_base, 0, packet


def _audio_packets(
    container: av.container.InputContainer, source: av.AudioStream, stream: av.AudioStream
) -> Iterator[tuple[Fraction, int, av.Packet[Any]]]:
    for packet in container.demux(source):
        if packet.dts is not None and packet.time_base is not None:
            packet.stream = stream
            yield packet.dts * exact(packet.time_base), 1, packet
