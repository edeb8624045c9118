"""What the scripts do before any work: flags, config fields, verbosity."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import DEFINE_config_file
from PIL import Image

from ultrabm_jax import config_files
from ultrabm_jax.commands.evaluate import RUN_CONFIG
from ultrabm_jax.config import CONFIGS, default_config, values
from ultrabm_jax.config_flags import check_field, parse_flags, prepare_arguments, read_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.training.workdir import write_config

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = str(ROOT / "configs" / "quickstart.py")


def script(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", ["train.py", "eval.py"])
def test_unknown_field_gives_one_line_with_the_known_ones(name, tmp_path):
    done = script(name, f"--config={QUICKSTART}", f"--workdir={tmp_path / 'run'}", "--config.train.stepz=5")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: unknown field config.train.stepz; known in config.train: ")
    assert "steps" in done.stderr
    assert not (tmp_path / "run").exists()


RELLISUR = str(ROOT / "configs" / "ultrabm_rellisur_x2.py")


@pytest.mark.parametrize("preset", ["--config.preset=paper", "--config.preset paper"])
def test_a_preset_sets_several_fields_and_other_overrides_win(preset):
    config = read_config(RELLISUR, ["--config.model.heads=4", *preset.split(), "--config.train.steps=7"])
    assert (config.preset, config.model.query, config.train.optimizer) == ("paper", "depthwise", "adam_l2")
    assert (config.model.heads, config.train.steps) == (4, 7)
    with pytest.raises(UserError, match="unknown preset 'papper' of ultrabm; known: shipped, paper, ultrais"):
        read_config(RELLISUR, ["--config.preset=papper"])


def test_absl_is_quiet_by_default(tmp_path):
    code = f"""
import sys
from absl import flags, logging
from ml_collections import config_flags
from ultrabm_jax.config_flags import run_with_flags

def main():
    logging.info("chatter")
    logging.warning("matter")

config_flags.DEFINE_config_file("config")
for argv in (["x"], ["x", "--verbosity=0"]):
    sys.argv = [*argv, "--config={QUICKSTART}"]
    try:
        run_with_flags(main, required=("config",))
    except SystemExit as end:
        print(end.code)
    flags.FLAGS.unparse_flags()
"""
    done = script("-c", code)
    assert done.stdout == "0\n0\n"
    assert [line.split("] ")[-1] for line in done.stderr.splitlines()] == ["matter", "chatter", "matter"]


def test_read_config_applies_overrides():
    config = read_config(QUICKSTART, ["--config.train.steps=7", "--config.data.root", "x", "--noconfig.model.fsi"])
    assert (config.train.steps, config.data.root, config.model.fsi) == (7, "x", False)
    assert config.is_locked


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--config.sead=1"], "unknown field config.sead; known in config: .*seed"),
        (["--config.train.stepz", "1"], "known in config.train: .*steps"),
        (["--config.seed.x=1"], "config.seed is a value"),
        (["--config.train.steps=few"], r"^config\.train\.steps takes a whole number; got few$"),
        (["--config.train.steps=1.5"], r"^config\.train\.steps takes a whole number; got 1\.5$"),
        (["--config.train.steps", "inf"], r"^config\.train\.steps takes a whole number; got inf$"),
        (["--config.train.learning_rate=high"], r"^config\.train\.learning_rate takes a number; got high$"),
        (["--config.model.fsi=maybe"], r"^config\.model\.fsi takes true or false; got maybe$"),
        (["--config.train=5"], r"^config\.train is a section; set one of its fields: .*steps"),
        (["--config.train.betas=0.9"], r"^config\.train\.betas takes 2 numbers; got \(0\.9,\)$"),
        (["--config.train.betas=(0.9,0.99,0.999)"], r"^config\.train\.betas takes 2 numbers; got \(0\.9, 0\.99, "),
        (["--config.train.betas=abc"], r"^config\.train\.betas takes 2 numbers; got \('abc',\)$"),
        (["--config.data.mixture=('lol:A', 1)"], r"^config\.data\.mixture takes tuples of \(DATASET:PATH, weight\) .*"),
        (["--config.train.stages=5"], r"^config\.train\.stages takes tuples of 3 numbers; got \(5,\)$"),
        (["--config.train.cycles=((1,),)"], r"^config\.train\.cycles takes tuples of 2 or 3 numbers; got \(\(1,\),\)$"),
        (["--config.eval.protocols=3"], r"^config\.eval\.protocols takes names; got \(3,\)$"),
        (["--steps=5"], r"^unknown flag --steps; did you mean --config\.train\.steps\?$"),
        (["--every=5"], r"did you mean --config\.checkpoint\.every or --config\.eval\.every\?$"),
        (["--flagfile=/nowhere"], r"^--flagfile: .*/nowhere"),
        (["--config.data.roots=x"], r"; did you mean root\?$"),
        (["--elsewhere"], "elsewhere"),
        (["stray"], "stray"),
    ],
)
def test_wrong_overrides(overrides, message):
    with pytest.raises(UserError, match=message) as caught:
        read_config(QUICKSTART, overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "steps"), [("=1e3", 1000), ("=2.0", 2), ("=0x10", 16), ("=7", 7), (" 1E2", 100), ("=1_000", 1000)]
)
def test_a_whole_number_in_any_form_is_an_integer(override, steps):
    assert read_config(QUICKSTART, f"--config.train.steps{override}".split()).train.steps == steps


@pytest.mark.parametrize(
    ("overrides", "betas"),
    [(["=(0.5,0.6)"], (0.5, 0.6)), (["=0.5", "=0.6"], (0.5, 0.6))],
)
def test_two_betas_in_any_form(overrides, betas):
    config = read_config(QUICKSTART, [f"--config.train.betas{override}" for override in overrides])
    assert config.train.betas == betas


def tuples(config, prefix=""):
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from tuples(value, f"{prefix}{name}.")
        elif isinstance(value, (tuple, list)):
            yield f"{prefix}{name}"


def test_every_tuple_of_every_config_is_checked():
    """A field that is missing from the tables would take a value of any length."""
    found = {field for model in CONFIGS for field in tuples(default_config(model))}
    assert found == {*values.NUMBERS, *values.ROWS, *values.MEMBERS, *values.NAMES}
    for model in CONFIGS:
        values.check_tuples(default_config(model))


def test_a_flag_file_is_checked_as_the_command_line(tmp_path):
    file = tmp_path / "flags"
    file.write_text("# of this experiment\n--config.train.steps=1e3\n")
    assert read_config(QUICKSTART, [f"--flagfile={file}"]).train.steps == 1000
    file.write_text("--config.train.stepz=3\n")
    with pytest.raises(UserError, match=r"unknown field config\.train\.stepz; known in config\.train: .*steps"):
        read_config(QUICKSTART, [f"--flagfile={file}"])


@pytest.mark.parametrize("name", ["train.py", "eval.py"])
@pytest.mark.parametrize("argument", ["--flagfile=/nowhere", "--config.train.betas=0.9", "--steps=5"])
def test_a_wrong_value_gives_one_line(name, argument, tmp_path):
    done = script(name, f"--config={QUICKSTART}", f"--workdir={tmp_path / 'run'}", argument)
    assert done.returncode == 1
    assert re.fullmatch(r"error: [^\n]+\n", done.stderr)
    assert not (tmp_path / "run").exists()


def test_a_flag_file_reaches_the_run(tmp_path):
    """The order of the flags is that of the command line with the file's in its place."""
    (tmp_path / "flags").write_text("--config.mesh.data=3\n")
    done = script("train.py", f"--config={QUICKSTART}", f"--workdir={tmp_path}", f"--flagfile={tmp_path / 'flags'}")
    devices, error = done.stderr.splitlines()  # the first line of a run names its devices
    assert (done.returncode, error.startswith("error: mesh data=3")) == (1, True)
    assert "cpu" in devices


COMMANDS = {
    "train": ["train.py", f"--config={QUICKSTART}", "--workdir=OUT"],
    "eval": ["eval.py", f"--config={QUICKSTART}", "--output=OUT"],
    "restore": ["restore.py", "IN", "--output=OUT", "--model=sci", "--weights=x.pth"],
    "metrics": ["-m", "ultrabm_jax.metrics", "IN", "IN", "--protocols", "rmse"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_platform_without_a_device_gives_one_line(command, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")  # no test machine has one
    (tmp_path / "in").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "in" / "a.png")
    places = {"IN": str(tmp_path / "in"), "OUT": str(tmp_path / "out")}
    arguments = [re.sub("IN|OUT", lambda match: places[match[0]], argument) for argument in command]
    done = script(*arguments)
    assert done.returncode == 1
    assert re.search(r"(^|\n)error: JAX_PLATFORMS=tpu, but JAX finds no such device[^\n]*\n$", done.stderr)
    assert "Traceback" not in done.stderr


def test_records_that_cannot_be_written_give_one_line(tmp_path):
    (tmp_path / "file").touch()
    arguments = ["--data_dir", str(tmp_path / "file" / "records"), "--manual_dir", str(tmp_path)]
    done = script("-m", "input_pipeline.prepare", "lol/v1", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"^error: --data_dir .*/file/records cannot be made \(Not a directory\)\n$", done.stderr)


def test_missing_config_error_lists_the_files_of_its_folder(tmp_path):
    (tmp_path / "one.py").touch()
    with pytest.raises(UserError, match=r"two\.py is not a file; there are: .*one\.py"):
        read_config(str(tmp_path / "two.py"))


def test_a_config_is_named_without_folder_and_extension(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # the names are those of this repository, wherever a command is started
    for name in ("quickstart", "quickstart.py"):
        assert read_config(name, ["--config.seed", "3"]).seed == 3
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "quickstart.py").write_text(Path(QUICKSTART).read_text().replace("800", "801"))
    assert read_config("quickstart").train.steps == 801
    message = r"^--config: quikstart is not a file; there are: .*, lw_drgn_lol, .*; did you mean quickstart\?$"
    with pytest.raises(UserError, match=message):
        read_config("quikstart")


def test_an_installed_package_says_where_named_configs_are(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_files, "ROOT", tmp_path)  # as site-packages: without train.py and configs/
    message = (
        r"^--config: pairs_x1 is not a file; name one of configs/ in a checkout of the repository, or run .* there$"
    )
    with pytest.raises(UserError, match=message):
        read_config("pairs_x1")


@pytest.mark.parametrize("text", ["psnr_rgb,ssim_rgb", "psnr_rgb, ssim_rgb,", "('psnr_rgb','ssim_rgb')"])
def test_names_may_be_separated_by_commas(text):
    assert read_config(QUICKSTART, [f"--config.eval.protocols={text}"]).eval.protocols == ("psnr_rgb", "ssim_rgb")


@pytest.mark.parametrize("name", ["train.py", "eval.py"])
def test_a_workdir_without_a_run_needs_a_config(name, tmp_path):
    done = script(name, f"--workdir={tmp_path}")
    assert (done.returncode, done.stderr) == (1, f"error: missing: --config; {tmp_path}/config.json does not exist\n")


def test_a_flag_without_a_config_has_a_hint_too():
    done = script("train.py", "--steps=5")
    assert (done.returncode, done.stderr) == (1, "error: unknown flag --steps; did you mean --config.train.steps?\n")


@pytest.mark.parametrize(("model", "preset"), [("ultrabm", "paper"), ("lw_drgn", "shipped"), ("lolisrflow", "shipped")])
def test_the_config_of_a_run_is_read_from_its_workdir(model, preset, tmp_path):
    """Values have their types, and overrides win; the processes are those of the new start."""
    config = default_config(model, preset=preset)
    config.data.update({"root": "own", "holdout": (0.1, 0.0)})
    config.distributed.coordinator = "host:1"
    write_config(tmp_path, config)
    arguments = [f"--workdir={tmp_path}", "--config.seed=3", "--config.eval.protocols=rmse,psnr_rgb"]
    argv = ["", *prepare_arguments(arguments, run_config=RUN_CONFIG)]
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", "", "", flag_values=values)
    DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    parse_flags(argv, values=values)
    config.update({"seed": 3})
    config.eval.protocols = ("rmse", "psnr_rgb")
    config.distributed.coordinator = ""
    assert values.config.to_dict() == config.to_dict()


def test_check_field_follows_sections_and_indices():
    config = ConfigDict({"a": {"b": (1, 2)}})
    check_field(config, "a.b")
    check_field(config, "a.b[1]")
    with pytest.raises(UserError, match=r"known in config\.a: b$"):
        check_field(config, "a.c")
