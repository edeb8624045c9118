"""Videos: decoding, one enhancement for a clip, resuming, audio, frame rates, folders of frames."""

from __future__ import annotations

from fractions import Fraction

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ultrabm_jax import cli
from ultrabm_jax.commands import restore
from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.layers.tile_statistics import shared_statistic
from ultrabm_jax.models.task import Task
from ultrabm_jax.video import CODECS, parts, steady
from ultrabm_jax.video.clip import FrameProgress, VideoOptions, restore_clip, target_of
from ultrabm_jax.video.source import FrameFolder, VideoFile

av = pytest.importorskip("av", reason="no PyAV (the extra video)")

FRAMES, RATE, HEIGHT, WIDTH = 12, Fraction(25), 48, 64
SETTINGS = VideoOptions()


def pixels(k):
    """Frame k: a gray ramp that grows brighter, and a coloured square."""
    frame = np.tile(np.linspace(16, 64, WIDTH), (HEIGHT, 1))[..., None].repeat(3, -1) + 4 * k
    frame[8:24, 8:24] = (120, 40, 20)
    return frame.astype(np.uint8)


@pytest.fixture
def clip(tmp_path):
    """A file of 12 frames, at 25 a second, with a tone of 440 Hz."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "5"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=44100)
        for k in range(FRAMES):
            for packet in video.encode(av.VideoFrame.from_ndarray(pixels(k), format="rgb24")):
                container.mux(packet)
        tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(44100 * FRAMES // 25) / 44100)
        sound = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], format="fltp", layout="mono")
        sound.sample_rate = 44100
        for packet in audio.encode(sound):
            container.mux(packet)
        for stream in (video, audio):
            for packet in stream.encode(None):
                container.mux(packet)
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "frames").mkdir()
    for k in range(FRAMES):
        Image.fromarray(pixels(k)).save(tmp_path / "frames" / f"frame{k}.png")  # frame10 follows frame9
    return tmp_path / "frames"


class Exposing(nn.Module):
    """Divides by four times the mean of the whole image, as a network with an automatic exposure."""

    scale: int = 2
    padding: int = 1

    @nn.compact
    def __call__(self, low):
        mean = shared_statistic(self, "mean", low.mean(axis=(1, 2), keepdims=True))
        return {"restored": jnp.repeat(jnp.repeat(low / (4 * mean.mean()), 2, axis=1), 2, axis=2)}


class Doubling(nn.Module):
    """Twice as bright; no statistics."""

    scale: int = 1

    @nn.compact
    def __call__(self, low):
        return {"restored": 2 * low}


@pytest.fixture
def exposing():
    return Restorer(Task(Exposing()), {}, exact=True)


@pytest.fixture
def doubling():
    return Restorer(Task(Doubling()), {}, exact=True)


def decoded(path):
    return np.stack([frame.pixels() for frame in VideoFile(path).frames()])


def audio_packets(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


def test_frames_of_a_file_and_of_a_folder(clip, folder):
    file, images = VideoFile(clip), FrameFolder(folder, RATE)
    assert file.count() == images.count() == FRAMES
    assert [frame.time for frame in file.frames()] == [frame.time for frame in images.frames()]
    for k, (frame, image) in enumerate(zip(file.frames(), images.frames(), strict=True)):
        np.testing.assert_array_equal(image.pixels(), pixels(k).astype(np.float32) / 255)
        assert np.abs(frame.pixels() - image.pixels()).mean() < 0.02  # of chroma subsampling


def test_a_clip_keeps_frames_times_size_and_audio(clip, doubling, tmp_path, logged):
    target = target_of(clip, None)
    assert target == tmp_path / "clip_restored.mp4"
    restore_clip(doubling, clip, target, SETTINGS)
    low, restored = decoded(clip), decoded(target)
    assert restored.shape == low.shape
    assert np.abs(restored - np.clip(2 * low, 0, 1)).mean() < 0.015
    assert [f.time for f in VideoFile(target).frames()] == [f.time for f in VideoFile(clip).frames()]
    assert audio_packets(target) == audio_packets(clip)
    assert "frame 12 of 12" in "\n".join(logged)
    assert "frames per second" in "\n".join(logged)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "clip_restored.mp4"]


def test_an_interrupted_clip_continues_at_its_frame(clip, doubling, tmp_path, monkeypatch, logged):
    monkeypatch.setattr("ultrabm_jax.video.clip.PART_FRAMES", 4)
    calls, restore_one = [], doubling.restore

    def interrupted(low, **options):
        calls.append(low)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return restore_one(low, **options)

    target = tmp_path / "out.mkv"
    monkeypatch.setattr(doubling, "restore", interrupted)
    with pytest.raises(KeyboardInterrupt):
        restore_clip(doubling, clip, target, SETTINGS)
    assert logged[-1] == f"{clip}: 6 frames done; the same command continues"
    assert not target.exists()
    restore_clip(doubling, clip, target, SETTINGS)  # the seventh call has been made
    assert f"{clip}: continues at frame 7" in logged
    assert len(calls) == 7 + 6  # six frames before, the interrupted one, six after
    assert np.abs(decoded(target) - np.clip(2 * decoded(clip), 0, 1)).mean() < 0.015
    times = [float(frame.time) for frame in VideoFile(target).frames()]
    np.testing.assert_allclose(times, [float(f.time) for f in VideoFile(clip).frames()], atol=1e-3)  # Matroska: ms


def test_parts_of_other_flags_are_not_continued(clip, doubling, tmp_path, logged, monkeypatch):
    monkeypatch.setattr("ultrabm_jax.video.clip.join", lambda *args, **options: 1 / 0)
    target = tmp_path / "out.mp4"
    with pytest.raises(ZeroDivisionError):
        restore_clip(doubling, clip, target, SETTINGS)
    monkeypatch.undo()
    restore_clip(doubling, clip, target, VideoOptions(settings="another model"))
    assert "starting again" in "\n".join(logged)
    assert "continues" not in "\n".join(logged)
    assert len(decoded(target)) == FRAMES


def test_one_enhancement_for_the_clip_keeps_its_changes_of_light(folder, exposing):
    source = FrameFolder(folder, RATE)
    means = np.array([frame.pixels().mean() for frame in source.frames()])

    def restored(kind):
        statistics = steady.steady_statistics(kind, exposing, source)
        return [exposing.restore(f.pixels(), statistics=statistics(f.time)).mean() for f in source.frames()]

    np.testing.assert_allclose(restored("off"), 0.25, atol=1e-3)
    np.testing.assert_allclose(restored("clip"), means / (4 * means.mean()), rtol=1e-3)


def test_smoothed_statistics_are_interpolated_between_frames(folder, exposing):
    source = FrameFolder(folder, Fraction(5))  # recorded at frames 0, 5 and 10
    means = np.array([frame.pixels().mean(axis=(0, 1)) for frame in source.frames()])
    at = steady.steady_statistics("smooth", exposing, source)
    recorded = [np.ravel(at(frame.time)["statistics"]["mean"]) for frame in source.frames()]
    np.testing.assert_allclose(recorded[5], means[5], rtol=1e-5)
    np.testing.assert_allclose(recorded[2], 0.6 * means[0] + 0.4 * means[5], rtol=1e-5)
    np.testing.assert_allclose(recorded[11], means[10], rtol=1e-5)


@pytest.mark.parametrize("fps", [10, 50, Fraction(24000, 1001)])
def test_a_frame_rate_keeps_the_duration(clip, fps):
    source = VideoFile(clip, Fraction(fps))
    frames = list(source.frames())
    assert source.count() == len(frames) == -(-FRAMES * fps // RATE)
    for frame in frames:
        k = int(min(frame.time * RATE, FRAMES - 1))
        assert abs(frame.pixels()[40, 60].mean() * 255 - pixels(k)[40, 60].mean()) < 2


def test_a_folder_of_frames_becomes_a_video_beside_it(folder, doubling):
    target = target_of(folder, None)
    assert target.name == "frames_restored.mp4"
    with pytest.raises(UserError, match="needs --fps"):
        restore_clip(doubling, folder, target, SETTINGS)
    restore_clip(doubling, folder, target, VideoOptions(fps=RATE))
    assert VideoFile(target).count() == FRAMES
    assert VideoFile(target).rate == RATE
    expected = np.stack([np.clip(2 * pixels(k).astype(np.float32) / 255, 0, 1) for k in range(FRAMES)])
    assert np.abs(decoded(target) - expected).mean() < 0.02


def test_frames_of_several_sizes_are_refused(folder, doubling, tmp_path):
    Image.fromarray(pixels(0)[:40]).save(folder / "frame5.png")
    with pytest.raises(UserError, match="frame 6 has another size"):
        restore_clip(doubling, folder, tmp_path / "out.mp4", VideoOptions(fps=RATE))


@pytest.mark.parametrize("codec", CODECS)
def test_codecs(clip, doubling, tmp_path, codec):
    target = tmp_path / "out.mkv"
    restore_clip(doubling, clip, target, VideoOptions(codec=codec))
    assert np.abs(decoded(target) - np.clip(2 * decoded(clip), 0, 1)).mean() < 0.03
    assert audio_packets(target) == audio_packets(clip)
    assert set(parts.ENCODERS) == set(CODECS)


def test_rotated_and_odd_frames(tmp_path, doubling):
    path = tmp_path / "odd.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 33, 17, "yuv444p"
        stream.set_display_rotation(90)
        image = np.zeros((17, 33, 3), np.uint8)
        image[:, :10] = 100
        for frame in (av.VideoFrame.from_ndarray(image, format="rgb24"), None):
            for packet in stream.encode(frame):
                container.mux(packet)
    (frame,) = VideoFile(path).frames()
    assert frame.pixels().shape == (33, 17, 3)
    upright = np.rot90(image, round(frame.frame.rotation / 90))
    assert np.abs(frame.pixels() - upright / 255).mean() < 0.02
    restore_clip(doubling, path, tmp_path / "out.mp4", SETTINGS)
    assert decoded(tmp_path / "out.mp4").shape == (1, 33, 17, 3)


def test_files_that_are_no_videos_are_reported(tmp_path, clip):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"a\.mp4: cannot be read as a video \(Invalid data found[^:]*\)$"):
        VideoFile(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="cannot be read as a video"):
        VideoFile(tmp_path / "missing.mp4")


def test_progress_gives_the_rate_and_the_time_left(logged):
    now = iter([0.0, 10.0, 12.0, 16.0, 40.0])
    progress = FrameProgress(0, clock=lambda: next(now))
    for number in (1, 2, 3, 4):
        progress(number, 4)
    assert logged == [
        "frame 2 of 4, 0.5 frames per second, about 4 s left",
        "frame 4 of 4, 0.1 frames per second",
    ]


def test_the_command_restores_a_video_beside_it(clip, tmp_path, shared, monkeypatch, capsys):
    monkeypatch.setenv("ULTRABM_ASSETS", str(shared / "assets"))
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")
    (tmp_path / "broken.mov").write_bytes(b"no video")
    arguments = [str(clip), str(tmp_path / "broken.mov"), "--model", "sci"]
    assert cli.run(lambda: restore.main(arguments)) == 1
    assert "broken.mov: cannot be read as a video" in capsys.readouterr().err
    assert decoded(tmp_path / "clip_restored.mp4").mean() > decoded(clip).mean()


def test_the_command_makes_a_video_of_a_folder(folder, shared, monkeypatch):
    monkeypatch.setenv("ULTRABM_ASSETS", str(shared / "assets"))
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")
    arguments = [str(folder), "--fps", "24", "--steady", "off", "--model", "sci"]
    assert cli.run(lambda: restore.main(arguments)) == 0
    target = VideoFile(folder.with_name("frames_restored.mp4"))
    assert (target.count(), target.rate) == (FRAMES, 24)


def test_flags_of_videos_are_refused_for_images(folder, shared, monkeypatch, capsys):
    monkeypatch.setenv("ULTRABM_ASSETS", str(shared / "assets"))
    image = str(folder / "frame0.png")
    for flags, error in ((["--fps", "9"], "--fps is for videos"), (["--steady", "clip"], "--steady is for videos")):
        assert cli.run(lambda flags=flags: restore.main([image, "--model", "sci", *flags])) == 1
        assert f"error: {error}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--model", "gamma"], "gamma adapts to each frame, so that a video flickers; choose a network"),
        (["--model", "sci", "--fps", "0"], "--fps is a number above 0 such as 25, 23.976 or 30000/1001, not '0'"),
        (["--model", "sci", "--bits", "16"], "--bits is for images, not for videos"),
        (["--model", "sci", "--samples", "2"], "--samples is for images, not for videos"),
    ],
)
def test_flags_that_do_not_fit_videos(clip, flags, error, capsys):
    assert cli.run(lambda: restore.main([str(clip), *flags])) == 1
    assert capsys.readouterr().err == f"error: {error}\n"
