"""What an output keeps of its input: shape of pixels, frame rate, colours; and which outputs are refused, and when."""

from __future__ import annotations

import os
import resource
from fractions import Fraction
from pathlib import Path

import flax.linen as nn
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.write import quantise
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.models.task import Task
from ultrabm_jax.video import parts
from ultrabm_jax.video.clip import VideoOptions, restore_clip
from ultrabm_jax.video.source import VideoFile, increasing

av = pytest.importorskip("av", reason="no PyAV (the extra video)")

FRAMES = 6


class Same(nn.Module):
    scale: int = 1

    @nn.compact
    def __call__(self, low):
        return {"restored": low}


@pytest.fixture
def same():
    return Restorer(Task(Same()), {}, exact=True)


def frame(k, height=64, width=96):
    """Saturated colours, of which BT.601 and BT.709 make different ones; all become brighter with k."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 3, 0] = image[:, width // 3 : 2 * width // 3, 1] = image[:, 2 * width // 3 :, 2] = 120
    return image + np.uint8(20 * k % 120)


def write(
    path, *, codec="libx264", size=(64, 96), pix_fmt="yuv420p", aspect=None, rotation=0, b_frames=0, frames=FRAMES
):
    """A file of 25 frames a second."""
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream(codec, rate=25)
        (stream.height, stream.width), stream.pix_fmt = size, pix_fmt
        stream.codec_context.max_b_frames = b_frames
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for k in range(frames):
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame(k, *size), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def write_with_pcm(path):
    """A file with uncompressed audio, which .m4v does not hold."""
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=25), container.add_stream("pcm_s16le", rate=8000)
        (video.height, video.width), video.pix_fmt, audio.layout = (64, 96), "yuv420p", "mono"
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        image = av.VideoFrame.from_ndarray(frame(0), format="rgb24")
        for packet in (*video.encode(image), *video.encode(None), *audio.encode(sound), *audio.encode(None)):
            container.mux(packet)
    return path


def decoded(path):
    return np.stack([found.pixels() for found in VideoFile(path).frames()])


@pytest.mark.parametrize(("rotation", "shown"), [(0, Fraction(16, 11)), (90, Fraction(11, 16))])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pixels_that_are_not_square_stay_so(tmp_path, same, rotation, shown, suffix):
    clip = write(tmp_path / "pal.mp4", aspect=Fraction(16, 11), rotation=rotation)
    target = tmp_path / f"out{suffix}"
    restore_clip(same, clip, target, VideoOptions())
    with av.open(str(target)) as container:
        assert Fraction(str(container.streams.video[0].sample_aspect_ratio)) == shown
    assert next(VideoFile(target).frames()).pixel_aspect == shown


def test_pixels_that_are_not_square_stay_so_at_another_rate(tmp_path, same):
    clip = write(tmp_path / "pal.mp4", aspect=Fraction(16, 11), rotation=90)
    restore_clip(same, clip, tmp_path / "out.mp4", VideoOptions(fps=Fraction(50)))
    shown = {frame.pixel_aspect for frame in VideoFile(tmp_path / "out.mp4").frames()}
    assert shown == {Fraction(11, 16)}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("target", ["out.mp4", "out.mkv"])
def test_the_output_states_the_frame_rate(tmp_path, same, suffix, target):
    restore_clip(same, write(tmp_path / f"clip{suffix}"), tmp_path / target, VideoOptions())
    assert VideoFile(tmp_path / target).rate == 25


@pytest.mark.parametrize("size", [(64, 96), (17, 33)])
def test_ffv1_is_lossless(tmp_path, same, size):
    clip = write(tmp_path / "clip.mp4", size=size, pix_fmt="yuv444p")
    restore_clip(same, clip, tmp_path / "out.mkv", VideoOptions(codec="ffv1"))
    written = decoded(tmp_path / "out.mkv")
    np.testing.assert_array_equal(quantise(written, 8), quantise(decoded(clip), 8))


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_colours_survive(tmp_path, same, codec):
    clip = write(tmp_path / "clip.mkv", codec="ffv1", pix_fmt="bgr0")
    restore_clip(same, clip, tmp_path / "out.mp4", VideoOptions(codec=codec))
    centres = np.s_[:, 32, [16, 48, 80]]
    np.testing.assert_allclose(decoded(tmp_path / "out.mp4")[centres], decoded(clip)[centres], atol=4 / 255)


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "ffv1"])
def test_odd_sizes(tmp_path, same, codec):
    clip = write(tmp_path / "clip.mkv", codec="ffv1", size=(49, 67), pix_fmt="bgr0")
    restore_clip(same, clip, tmp_path / "out.mkv", VideoOptions(codec=codec))
    assert decoded(tmp_path / "out.mkv").shape == (FRAMES, 49, 67, 3)


@pytest.mark.parametrize("codec", ["h265", "av1"])
def test_frames_that_an_encoder_does_not_survive_are_refused(tmp_path, same, codec):
    clip = write(tmp_path / "clip.mkv", codec="ffv1", size=(15, 15), pix_fmt="bgr0")
    with pytest.raises(UserError, match=rf"{codec} has no frames of less than \d+x\d+ pixels; choose --codec h264"):
        restore_clip(same, clip, tmp_path / "out.mkv", VideoOptions(codec=codec))


def test_an_encoder_that_fails_is_reported(tmp_path, same, monkeypatch):
    monkeypatch.setitem(parts.ENCODERS, "h264", ("libx264", {"preset": "no such preset"}))
    with pytest.raises(UserError, match="a frame cannot be written"):
        restore_clip(same, write(tmp_path / "clip.mp4"), tmp_path / "out.mp4", VideoOptions())


def test_a_clip_has_more_parts_than_a_process_may_open_files(tmp_path, same, monkeypatch):
    monkeypatch.setattr("ultrabm_jax.video.clip.PART_FRAMES", 1)
    clip = write(tmp_path / "clip.mp4", size=(16, 16), frames=40)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 20, hard))
    try:
        restore_clip(same, clip, tmp_path / "out.mp4", VideoOptions())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(decoded(tmp_path / "out.mp4")) == 40


def test_an_output_that_cannot_hold_the_audio_is_refused_before_the_first_frame(tmp_path, same, monkeypatch):
    monkeypatch.setattr(same, "restore", lambda *_, **__: pytest.fail("a frame was restored"))
    clip, target = write_with_pcm(tmp_path / "clip.mkv"), tmp_path / "out.m4v"
    with pytest.raises(UserError, match=r"out.m4v: this container does not hold the clip .*use --output NAME.mkv"):
        restore_clip(same, clip, target, VideoOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_frames_of_avi_are_in_order_although_it_states_times_of_decoding(tmp_path, same, codec):
    clip = write(tmp_path / "clip.avi", codec=codec, b_frames=2)
    times = [found.time for found in VideoFile(clip).frames()]
    assert np.diff(times).tolist() == [Fraction(1, 25)] * (FRAMES - 1)
    restore_clip(same, clip, tmp_path / "out.mp4", VideoOptions())
    assert (np.diff(decoded(tmp_path / "out.mp4").mean((1, 2, 3))) > 10 / 255).all()  # each is 20 / 255 brighter


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_frame_rate_does_not_prolong_a_clip_of_variable_rate(tmp_path, suffix):
    starts = [40, 80, 200, 233, 900, 901, 2000]  # ms; the last frame is not as long as the one before it
    with av.open(str(tmp_path / f"clip{suffix}"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        (stream.height, stream.width), stream.pix_fmt = (64, 96), "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for k, start in enumerate(starts):
            image = av.VideoFrame.from_ndarray(frame(k), format="rgb24")
            image.pts, image.time_base = start, Fraction(1, 1000)
            for packet in stream.encode(image):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    source = VideoFile(tmp_path / f"clip{suffix}", Fraction(10))
    times = [found.time for found in source.frames()]
    assert times == [Fraction(k, 10) for k in range(1, 21)]
    assert source.count() == len(times)


def test_frames_without_times_follow_at_the_average_rate(tmp_path):
    raw = write(tmp_path / "clip.264")  # a stream without a container
    source = VideoFile(raw)
    assert [found.time for found in source.frames()] == [Fraction(k, 25) for k in range(FRAMES)]
    assert source.count() == FRAMES


def test_times_that_do_not_increase_are_replaced():
    times = increasing(Fraction(1, 24), unit=Fraction(1, 100))
    stated = [Fraction(1), Fraction(2), Fraction(2), None, Fraction(3)]
    assert [times(time) for time in stated] == [1, 2, Fraction(204, 100), Fraction(208, 100), 3]


def test_a_name_that_looks_like_an_address(tmp_path, same, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = write(Path("12:30.mp4"))
    restore_clip(same, clip, Path("12:31.mp4"), VideoOptions())
    assert len(decoded(Path("12:31.mp4"))) == FRAMES
