from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorflow_datasets")

from input_pipeline.builders import BUILDERS
from input_pipeline.prepare import main, parser
from ultrabm_jax.cli import run


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("TF_CPP_MIN_LOG_LEVEL", "OMP_NUM_THREADS"):  # the command sets them
        monkeypatch.setenv(name, "1")


@pytest.fixture
def lol(tmp_path):
    for part, names in (("our485", "234"), ("eval15", "1")):
        for name in names:
            for k, folder in enumerate(("low", "high")):
                path = tmp_path / "LOL" / part / folder / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                noise = np.random.default_rng(2 * int(name) + k).integers(0, 256, (8, 12, 3), dtype=np.uint8)
                Image.fromarray(noise).save(path)
    return tmp_path / "LOL"


def prepare(capsys, *argv):
    status = run(lambda: main([str(word) for word in argv]))
    return status, capsys.readouterr()


def test_records_are_prepared_once_with_instructions(capsys, lol, tmp_path):
    argv = ("lol", "--data_dir", tmp_path / "records", "--manual_dir", lol, "--processes=1")
    status, printed = prepare(capsys, *argv)
    assert status == 0
    folder = tmp_path / "records" / "lol" / "v1" / "1.0.0"
    assert printed.out.splitlines() == [
        f"lol/v1/1.0.0: train 3, test 1; 0.00 GiB in {folder}",
        f"use them with --config.data.dataset=lol/v1 --config.data.records={tmp_path / 'records'}",
    ]
    files = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    status, again = prepare(capsys, *argv)
    assert (status, again.out) == (0, printed.out)
    assert f"{folder} exists already; --overwrite writes it again" in again.err
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == files
    (lol / "our485" / "low" / "4.png").unlink()
    (lol / "our485" / "high" / "4.png").unlink()
    status, printed = prepare(capsys, *argv, "--overwrite")
    assert printed.out.startswith("lol/v1/1.0.0: train 2, test 1;")


def test_missing_data_gives_one_line_with_instructions(capsys, tmp_path):
    for argv, part in (
        (("--manual_dir", tmp_path / "none"), f"{tmp_path / 'none'} is not a folder. "),
        ((), "set --manual_dir"),
    ):
        status, printed = prepare(capsys, "rellisur/x2", "--data_dir", tmp_path / "records", *argv)
        assert status == 1
        (line,) = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        for piece in (part, "RELLISUR.zip (8.9 GB, CC BY 4.0)", "zenodo.5234969", "NLHR/X{1,2,4}/NNNNN.png"):
            assert piece in line
    assert not list((tmp_path / "records").rglob("*tfrecord*"))


def test_list_names_every_data_set_with_its_configs(capsys):
    status, printed = prepare(capsys, "--list")
    assert status == 0
    lines = printed.out.splitlines()
    for start in ("rellisur/x4: ", "lol/v1_scenes: ", "sid/fuji: ", "coco_dark", "    RELLISUR.zip"):
        assert any(line.startswith(start) for line in lines)
    assert sum(not line.startswith(" ") and bool(line) for line in lines) >= len(BUILDERS)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "missing: dataset, data_dir; --help lists the flags"),
        (("lol",), "missing: data_dir"),
        (("lol", "--data_dir=x", "--processes=0"), "--processes 0 must be 1 or more"),
        (("lo", "--data_dir=x"), "'lo' has no builder"),
        (("lol/v9", "--data_dir=x"), "'lol/v9' is not known; choose one of: lol/v1"),
    ],
)
def test_misuse_gives_one_line(capsys, argv, message):
    status, printed = prepare(capsys, *argv)
    assert status == 1
    assert message in printed.err
    assert printed.out == ""


def test_one_process_per_core_by_default():
    assert parser().parse_args(["lol"]).processes >= 1
