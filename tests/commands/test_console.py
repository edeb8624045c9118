"""`ultrabm-jax COMMAND`: its table, its errors and the extras that commands name."""

from __future__ import annotations

import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from ultrabm_jax import cli, commands, extras
from ultrabm_jax.commands import COMMANDS, Command
from ultrabm_jax.extras import EXTRAS, install, missing_extra

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def console(monkeypatch, capsys):
    """`console(*arguments)`: status, standard output and standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ultrabm-jax", *arguments])
        try:
            status = commands.main()
        except SystemExit as end:  # argparse and absl
            status = end.code
        return status, *capsys.readouterr()

    return call


def test_every_command_is_a_module_with_main():
    for name, command in COMMANDS.items():
        assert find_spec(command.module) is not None, name


def test_the_package_defines_the_console_command():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"ultrabm-jax": "ultrabm_jax.commands:main"}


def test_usage_lists_the_commands(console):
    status, printed, _ = console("--help")
    assert status == 0
    assert all(f"  {name} " in printed for name in COMMANDS)
    assert console()[0] == 2


@pytest.mark.parametrize("name", ["train", "eval"])
def test_help_of_a_command_with_a_config(python, name):
    """In processes of their own: absl's flags are global."""
    code = f"import sys, ultrabm_jax.commands as c; sys.argv = ['ultrabm-jax', '{name}', '--help']; c.main()"
    done = python("-c", code)
    assert f"ultrabm-jax {name}:" in done.stdout
    assert "--config: " in done.stdout
    assert "--workdir: " in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "flag"),
    [("restore", "--list-models"), ("metrics", "--protocols"), ("check", "--paired"), ("models", "help")],
)
def test_help_names_the_flags_of_a_command(console, name, flag):
    status, printed, _ = console(name, "--help")
    assert status == 0
    assert flag in printed


def test_an_unknown_and_a_missing_command_give_one_line(console, monkeypatch):
    assert console("restor")[2] == f"error: unknown command 'restor'; known: {', '.join(COMMANDS)}\n"
    monkeypatch.setitem(COMMANDS, "later", Command("ultrabm_jax.later.__main__", "not there"))
    status, _, errors = console("later")
    assert (status, errors) == (1, "error: this version of ultrabm_jax has no command 'later'\n")


def test_a_command_gets_its_arguments(console, tmp_path):
    status, _, errors = console("restore", str(tmp_path / "none.png"), "--model", "gamma")
    assert status == 1
    assert "none.png" in errors


@pytest.mark.parametrize("module", EXTRAS)
def test_a_missing_extra_is_named_in_one_line(module, capsys):
    def fail():
        raise ModuleNotFoundError(f"No module named {module!r}", name=f"{module}.part")

    assert cli.run(fail) == 1
    assert capsys.readouterr().err == f"error: this command needs {module}: {install(module)}\n"


def test_a_missing_module_of_the_base_is_a_bug():
    def fail():
        raise ModuleNotFoundError("No module named 'jax'", name="jax")

    with pytest.raises(ModuleNotFoundError):
        cli.run(fail)


def test_the_command_for_an_extra_names_the_checkout_or_the_installed_package(tmp_path, monkeypatch):
    """Not ultrabm_jax in a checkout: `make setup` does not install the package, and pip would search PyPI for it."""
    assert missing_extra("rawpy", "camera raw files") == f'camera raw files need rawpy: pip install "{ROOT}[raw]"'
    monkeypatch.setattr(extras, "ROOT", tmp_path)  # site-packages
    assert missing_extra("rawpy", "camera raw files") == 'camera raw files need rawpy: pip install "ultrabm_jax[raw]"'


def test_the_extras_are_those_of_the_package():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["dynamic"]
    extras = tool["optional-dependencies"]
    assert set(EXTRAS.values()) <= set(extras)
    assert all((ROOT / extra["file"][0]).is_file() for extra in extras.values())
    required = (ROOT / tool["dependencies"]["file"][0]).read_text()
    assert not any(name in required for name in ("tensorflow", "clu", "rawpy", "scikit-image", "lpips", "tensorboard"))
