"""A repeated command keeps the videos that it made, as it keeps images."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax import cli
from ultrabm_jax.commands import restore

av = pytest.importorskip("av", reason="no PyAV (the extra video)")

KEPT = "0 restored, 0 failed, 1 kept because the output exists (--overwrite restores them again)"
GRAY = np.full((16, 16, 3), 40, np.uint8)


@pytest.fixture
def run(shared, monkeypatch, capsys):
    """`run(*arguments)`: restores with SCI; gives the status and the lines printed."""
    monkeypatch.setenv("ULTRABM_ASSETS", str(shared / "assets"))
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")

    def call(*arguments):
        capsys.readouterr()
        status = cli.run(lambda: restore.main(["--model", "sci", *map(str, arguments)]))
        return status, capsys.readouterr().err.splitlines()

    return call


def write_clip(path, level=40):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full_like(GRAY, level), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


def test_a_finished_video_is_kept_with_status_0(tmp_path, run):
    clip, target = write_clip(tmp_path / "clip.mp4"), tmp_path / "clip_restored.mp4"
    status, lines = run(clip)
    assert (status, lines[-2:]) == (0, [f"[1/1] {clip} -> {target}", "1 restored, 0 failed"])
    written = target.stat().st_mtime_ns
    assert run(clip) == (0, [lines[0], KEPT])
    _, lines = run(clip, "--fps", "10", "--codec", "h265")
    assert lines[-1] == f"{KEPT}; 1 of these was made with another codec, fps"
    assert target.stat().st_mtime_ns == written
    assert run(clip, "--overwrite")[1][-1] == "1 restored, 0 failed"
    assert target.stat().st_mtime_ns > written


def test_a_video_that_changed_is_restored_again(tmp_path, run):
    clip = write_clip(tmp_path / "clip.mp4")
    run(clip)
    write_clip(clip, level=80)
    assert run(clip)[1][-1] == "1 restored, 0 failed"
    assert run(clip)[1][-1] == KEPT


def test_a_file_that_was_not_made_from_the_video_is_neither_kept_nor_replaced(tmp_path, run):
    clip, target = write_clip(tmp_path / "clip.mp4"), tmp_path / "clip_restored.mp4"
    target.write_bytes(b"mine")
    status, lines = run(clip)
    reason = f"error: {clip}: {target} exists and was not made from this file; --overwrite replaces it"
    assert (status, lines[-2:]) == (1, [reason, "0 restored, 1 failed"])
    assert target.read_bytes() == b"mine"
    status, lines = run(clip, "--output", clip, "--overwrite")
    assert (status, lines[-1]) == (1, f"error: {clip}: the output would replace an input; choose another --output")


def test_a_video_that_was_made_from_another_input_is_left_out(tmp_path, run):
    clip, other = write_clip(tmp_path / "clip.mp4"), write_clip(tmp_path / "other.mov")
    run(clip)
    status, lines = run(clip, tmp_path / "clip_restored.mp4", other)
    assert status == 0
    assert "left out 1 file that was restored from other inputs" in lines
    assert lines[-1].startswith("1 restored, 0 failed, 1 kept ")
    assert sorted(os.listdir(tmp_path))[1:] == ["clip.mp4", "clip_restored.mp4", "other.mov", "other_restored.mov"]
    status, lines = run(clip, tmp_path / "clip_restored.mp4", "--output", tmp_path / "elsewhere")
    assert (status, lines[-1]) == (0, "2 restored, 0 failed")  # as images: this run writes elsewhere
    assert run(tmp_path / "clip_restored.mp4")[0] == 0  # alone, it is an input
    assert (tmp_path / "clip_restored_restored.mp4").exists()


def test_a_photo_may_have_the_name_of_a_video(tmp_path, run):
    clip = write_clip(tmp_path / "IMG_1.mov")
    run(clip)
    Image.fromarray(GRAY).save(tmp_path / "IMG_1.jpg")
    run(tmp_path / "IMG_1.jpg")
    assert (tmp_path / "IMG_1_restored.png").exists()


def test_a_folder_of_frames_is_kept_until_an_image_changes(tmp_path, run):
    (tmp_path / "frames").mkdir()
    for k in range(2):
        Image.fromarray(GRAY).save(tmp_path / "frames" / f"{k}.png")
    assert run(tmp_path / "frames", "--fps", "5")[1][-1] == "1 restored, 0 failed"
    (tmp_path / "frames" / "notes.txt").write_text("no frame")
    assert run(tmp_path / "frames", "--fps", "5")[1][-1] == KEPT
    Image.fromarray(2 * GRAY).save(tmp_path / "frames" / "1.png")
    assert run(tmp_path / "frames", "--fps", "5")[1][-1] == "1 restored, 0 failed"
