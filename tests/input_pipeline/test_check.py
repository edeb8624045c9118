from __future__ import annotations

from pathlib import Path

import pytest

from input_pipeline.check import main

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "base.py"


def run(capsys, *argv):
    status = main(list(argv))
    return status, capsys.readouterr()


def test_sound_folder(capsys, pairs):
    status, printed = run(capsys, "--paired", str(pairs), "--scale=2")
    assert status == 0
    assert printed.out == "0 defects; usable: train 5\n"


def test_scale_is_that_of_most_pairs(capsys, pairs, picture):
    picture(pairs / "high" / "0.png", 48, 64)
    status, printed = run(capsys, "--paired", str(pairs))
    assert status == 1
    assert "sizes: 1 " in printed.out
    assert "high/0.png: low is 16x12, reference 64x48, but scale 2" in printed.out


def test_a_missing_split_does_not_hide_the_other(capsys, tmp_path, picture):
    picture(tmp_path / "our485" / "low" / "1.png", 8, 8)
    picture(tmp_path / "our485" / "high" / "2.png", 8, 8)
    argv = [f"--config={CONFIG}", "--config.data.dataset=lol", f"--config.data.root={tmp_path}"]
    status, printed = run(capsys, *argv)
    assert status == 1
    for part in ("our485/low/1.png", "our485/high/2.png", "eval15 is not a folder"):
        assert part in printed.out


def test_every_defect_at_once(capsys, pairs, picture):
    picture(pairs / "low" / "7.png", 12, 16)
    picture(pairs / "high" / "8.png", 24, 32)
    picture(pairs / "high" / "1.jpg", 24, 32)
    picture(pairs / "high" / "2.png", 24, 30)
    (pairs / "low" / "3.png").write_text("nothing")
    whole = pairs / "high" / "4.png"
    whole.write_bytes(whole.read_bytes()[:300])
    status, printed = run(capsys, "--paired", str(pairs), "--scale=2")
    assert status == 1
    lines = printed.out.splitlines()
    for heading in ("doubled name: 1 ", "unpaired: 2 ", "unreadable: 2 ", "sizes: 1 "):
        assert sum(line.startswith(heading) for line in lines) == 1
    for name in ("low/7.png", "high/8.png", "high/1.jpg", "high/2.png", "low/3.png", "high/4.png"):
        assert sum(name in line for line in lines) == 1
    assert lines[-1] == "6 defects; usable: train 2"


def test_config_checks_both_splits_and_the_patch(capsys, tmp_path, picture):
    for part in ("our485", "eval15"):
        for k in range(2):
            picture(tmp_path / part / "low" / f"{k}.png", 40, 40 + k)
            picture(tmp_path / part / "high" / f"{k}.png", 40, 40 + k)
    argv = [f"--config={CONFIG}", "--config.data.dataset=lol", f"--config.data.root={tmp_path}"]
    status, printed = run(capsys, *argv)
    assert status == 1
    assert "too small: 2 " in printed.out
    status, printed = run(capsys, *argv, "--config.data.patch_size=16")
    assert (status, printed.out) == (0, "0 defects; usable: train 2, eval 2\n")
    status, printed = run(
        capsys, *argv, "--config.data.patch_size=16", "--config.train.stages=((2, 8, 16), (1, 1, 32))"
    )
    assert "the patch is 32x32" in printed.out


def test_missing_and_empty_folders(capsys, tmp_path):
    status, printed = run(capsys, "--paired", str(tmp_path / "nothing"))
    assert status == 1
    assert printed.err.startswith("error: ")
    assert "nothing is not a folder: point --paired at" in printed.err
    assert printed.err.count("\n") == 1
    (tmp_path / "low").mkdir()
    status, printed = run(capsys, "--paired", str(tmp_path))
    assert status == 1
    assert "empty folder: 1" in printed.out
    assert "missing folder: 1" in printed.out


@pytest.mark.parametrize("override", ["--config.data.rot=x", "--config.data.workers=x", "--nothing"])
def test_wrong_options_are_one_line(capsys, override):
    status, printed = run(capsys, f"--config={CONFIG}", override)
    assert status == 1
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert override.split("=")[0].split(".")[-1].lstrip("-") in printed.err


def test_real_lol(capsys, shared):
    status, printed = run(capsys, "--paired", str(shared / "data" / "lol_v1" / "eval15"), "--scale=2")
    assert (status, printed.out) == (0, "0 defects; usable: train 15\n")
