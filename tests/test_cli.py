"""What the scripts do before any work: flags, config fields, verbosity."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from ultrabm_jax import cli
from ultrabm_jax.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = str(ROOT / "configs" / "quickstart.py")


def script(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", ["train.py", "eval.py"])
def test_an_unknown_field_is_one_line_with_the_known_ones(name, tmp_path):
    done = script(name, f"--config={QUICKSTART}", f"--workdir={tmp_path / 'run'}", "--config.train.stepz=5")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: unknown field config.train.stepz; known in config.train: ")
    assert "steps" in done.stderr
    assert not (tmp_path / "run").exists()


def test_absl_is_quiet_unless_asked(tmp_path):
    code = f"""
import sys
from absl import flags, logging
from ml_collections import config_flags
from ultrabm_jax import cli

def main():
    logging.info("chatter")
    logging.warning("matter")

config_flags.DEFINE_config_file("config")
for argv in (["x"], ["x", "--verbosity=0"]):
    sys.argv = [*argv, "--config={QUICKSTART}"]
    try:
        cli.start(main, required=("config",))
    except SystemExit as end:
        print(end.code)
    flags.FLAGS.unparse_flags()
"""
    done = script("-c", code)
    assert done.stdout == "0\n0\n"
    assert [line.split("] ")[-1] for line in done.stderr.splitlines()] == ["matter", "chatter", "matter"]


def test_read_config_applies_overrides():
    config = cli.read_config(QUICKSTART, ["--config.train.steps=7", "--config.data.root", "x", "--noconfig.model.fsi"])
    assert (config.train.steps, config.data.root, config.model.fsi) == (7, "x", False)
    assert config.is_locked


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--config.sead=1"], "unknown field config.sead; known in config: .*seed"),
        (["--config.train.stepz", "1"], "known in config.train: .*steps"),
        (["--config.seed.x=1"], "config.seed is a value"),
        (["--config.train.steps=few"], "few"),
        (["--elsewhere"], "elsewhere"),
        (["stray"], "stray"),
    ],
)
def test_wrong_overrides(overrides, message):
    with pytest.raises(UserError, match=message) as caught:
        cli.read_config(QUICKSTART, overrides)
    assert "\n" not in str(caught.value)


def test_a_missing_config_names_its_neighbours(tmp_path):
    (tmp_path / "one.py").touch()
    with pytest.raises(UserError, match=r"two\.py is not a file; there are: .*one\.py"):
        cli.read_config(str(tmp_path / "two.py"))


def test_check_field_follows_sections_and_indices():
    config = ConfigDict({"a": {"b": (1, 2)}})
    cli.check_field(config, "a.b")
    cli.check_field(config, "a.b[1]")
    with pytest.raises(UserError, match=r"known in config\.a: b$"):
        cli.check_field(config, "a.c")
