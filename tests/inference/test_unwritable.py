"""Outputs that cannot be written are reported before the first image is computed; a full disk stops one image."""

from __future__ import annotations

import errno
import os

from inference.flat_images import save


def test_an_output_folder_that_cannot_be_made_is_reported_before_the_first_image(tmp_path, run, no_network):
    path = save(tmp_path / "a.jpg", 20)
    (tmp_path / "file").write_bytes(b"")
    for output in ("file", "file/deeper"):
        status, err = run(path, "--output", tmp_path / output)
        assert status == 1
        found = "" if output == "file" else f"{tmp_path}/file: "
        assert err == (
            f"error: outputs cannot be written to {tmp_path}/{output}: {found}a file, not a folder; "
            "choose another folder\n"
        )


def test_a_single_output_that_cannot_be_written_is_reported_first(tmp_path, run):
    inputs = [save(tmp_path / "in" / name, 20) for name in ("a.png", f"{'n' * 250}.png", "z.png")]
    (tmp_path / "in" / "a_restored.png").mkdir()
    status, err = run(*inputs, "--output", tmp_path / "in")
    lines = err.splitlines()
    assert status == 1
    assert "a_restored.png is a folder" in lines[0]
    assert "File name too long" in lines[1]
    assert [line.split(" -> ")[-1] for line in lines[2:-1]] == [
        "compiling FakeNet for 8x6 pixels",
        f"{tmp_path}/in/z_restored.png",
    ]


def test_a_record_file_that_cannot_be_written_is_reported_before_the_first_image(tmp_path, run, no_network):
    path = save(tmp_path / "a.jpg", 20)
    (tmp_path / "out" / ".restore.jsonl").mkdir(parents=True)
    status, err = run(path, "--output", tmp_path / "out")
    assert status == 1
    assert err.startswith(f"error: {tmp_path}/out/.restore.jsonl cannot be written (Is a directory); delete it, or use")


def test_a_folder_without_permission_is_reported_before_the_first_image(tmp_path, run, no_network, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("ultrabm_jax.image.write.tempfile.TemporaryFile", refuse)  # tests may run as root
    status, err = run(save(tmp_path / "a.jpg", 20), "--output", tmp_path / "out")
    assert status == 1
    assert err == (
        f"error: outputs cannot be written to {tmp_path}/out: {tmp_path}: Permission denied; choose another folder\n"
    )


def test_a_full_disk_leaves_no_incomplete_file_and_the_next_run_continues(tmp_path, run, monkeypatch):
    inputs = [save(tmp_path / "in" / f"{k}.png", 20 + 40 * k) for k in range(3)]
    replace, full = os.replace, {"1.png"}

    def replace_until_full(source, target):
        if os.path.basename(target) in full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    monkeypatch.setattr("ultrabm_jax.image.write.os.replace", replace_until_full)
    status, err = run(*inputs, "--output", tmp_path / "out")
    assert (status, "2 restored, 1 failed" in err) == (1, True)
    assert [line for line in err.splitlines() if line.startswith("error: ") and "No space left on device" in line]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".restore.jsonl", "0.png", "2.png"]
    records = tmp_path / "out" / ".restore.jsonl"
    records.write_bytes(records.read_bytes()[:-9])  # the disk has cut the last line, too
    full.clear()
    status, err = run(*inputs, "--output", tmp_path / "out")
    assert (status, "2 restored, 0 failed, 1 kept" in err) == (0, True)
    status, err = run(*inputs, "--output", tmp_path / "out")
    assert (status, "0 restored, 0 failed, 3 kept" in err) == (0, True)


def test_a_disk_that_is_full_for_the_records_costs_one_image(tmp_path, run, monkeypatch):
    inputs = [save(tmp_path / "in" / f"{k}.png", 20 + 40 * k) for k in range(2)]
    left = [0]  # records that still fit

    def open_until_full(path, mode="r", **options):
        if str(path).endswith(".restore.jsonl") and mode == "a+b":
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return open(path, mode, **options)

    monkeypatch.setattr("ultrabm_jax.inference.records.open", open_until_full, raising=False)
    left[0] = 3  # two of the first image, one of the second
    status, err = run(*inputs, "--output", tmp_path / "out")
    assert (status, "1 restored, 1 failed" in err) == (1, True)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert errors == [f"error: {inputs[1]}: {tmp_path}/out/.restore.jsonl cannot be written: No space left on device"]
    left[0] = 9
    status, err = run(*inputs, "--output", tmp_path / "out")
    assert (status, "1 restored, 0 failed, 1 kept" in err) == (0, True)
