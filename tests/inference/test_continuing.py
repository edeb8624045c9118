"""A repeated run keeps what exists, and an interrupted one continues."""

from __future__ import annotations

import pytest
from inference.flat_images import levels, save

from ultrabm_jax.inference import files
from ultrabm_jax.inference.jobs import plan
from ultrabm_jax.inference.sampled_files import sample_files


def test_a_second_run_does_nothing_when_outputs_lie_beside_their_inputs(tmp_path, run):
    save(tmp_path / "a.png", 20)
    save(tmp_path / "b.jpg", 40)
    save(tmp_path / "sub" / "a.png", 60)
    status, _ = run(tmp_path, "--output", tmp_path)
    written = ["a_restored.png", "b_restored.png", "sub/a_restored.png"]
    assert status == 0
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*_restored.png")) == written
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*.png")}
    for _ in range(2):
        status, err = run(tmp_path, "--output", tmp_path / "sub" / "..")
        assert status == 0
        assert "0 restored, 0 failed, 3 kept" in err
        assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*.png")} == before


def test_outputs_that_a_shell_pattern_names_are_left_out(tmp_path, run):
    save(tmp_path / "a.png", 20)
    save(tmp_path / "b.jpg", 40)
    run(*sorted(tmp_path.glob("*")))
    named = [path for path in sorted(tmp_path.glob("*")) if not path.name.startswith(".")]
    assert [path.name for path in named] == ["a.png", "a_restored.png", "b.jpg", "b_restored.png"]
    for output in ([], ["--output", tmp_path]):
        status, err = run(*named, *output)
        assert status == 0
        assert "left out 2 files that were restored from other inputs" in err
        assert "0 restored, 0 failed, 2 kept" in err
    status, err = run(*named, "--output", tmp_path / "elsewhere")  # named, and nothing of theirs lies there
    assert (status, "4 restored" in err) == (0, True)
    assert run(tmp_path / "a_restored.png")[0] == 0
    assert (tmp_path / "a_restored_restored.png").exists()


def test_kept_outputs_that_were_made_with_other_options_are_named(tmp_path, run):
    save(tmp_path / "in" / "a.png", 20)
    out = tmp_path / "out"
    run(tmp_path / "in", "--output", out)
    save(tmp_path / "in" / "b.png", 40)
    run(tmp_path / "in", "--output", out, "--exposure", "1")
    _, err = run(tmp_path / "in", "--output", out, "--exposure", "1", "--tile", "256")
    kept = "0 restored, 0 failed, 2 kept because the output exists (--overwrite restores them again)"
    assert err.splitlines()[-1] == f"{kept}; 2 of these were made with another exposure, tile"
    _, err = run(tmp_path / "in", "--output", out, "--exposure", "1")
    assert err.splitlines()[-1] == f"{kept}; 1 of these was made with another exposure"
    run(tmp_path / "in", "--output", out, "--exposure", "1", "--overwrite")
    assert run(tmp_path / "in", "--output", out, "--exposure", "1")[1].splitlines()[-1] == kept


def test_an_interrupted_run_says_where_it_continues(tmp_path, run, monkeypatch):
    paths = [save(tmp_path / "in" / f"{k}.png", 20) for k in range(3)]

    def interrupt(target, *arguments, **options):
        if target.name == "1.png":
            raise KeyboardInterrupt
        write(target, *arguments, **options)

    write = files.write_photo
    monkeypatch.setattr(files, "write_photo", interrupt)
    status, err = run(tmp_path / "in", "--output", tmp_path / "out")
    assert status == 130
    assert err.splitlines()[-2:] == [f"1 of 3 files done; the same command continues with {paths[1]}", "interrupted"]
    monkeypatch.setattr(files, "write_photo", write)
    assert "2 restored, 0 failed, 1 kept" in run(tmp_path / "in", "--output", tmp_path / "out")[1]


def test_an_interrupted_run_of_samples_continues(tmp_path):
    jobs = plan([save(tmp_path / "a.png", 20)], tmp_path / "out")
    calls = []

    def sampler(image, *, seed, index):
        calls.append(index)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return image

    with pytest.raises(KeyboardInterrupt):
        sample_files(sampler, jobs, samples=4)
    assert list(levels(tmp_path / "out")) == ["a_sample1.png", "a_sample2.png"]
    assert sample_files(sampler, jobs, samples=4) == 0
    assert len(levels(tmp_path / "out")) == 4
    done = len(calls)
    assert sample_files(sampler, jobs, samples=4) == 0
    assert len(calls) == done
