"""Defaults live in ultrabm_jax.config; experiment files change them and import nothing else of the project."""

from __future__ import annotations

import ast
import importlib.util
import tomllib
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from ultrabm_jax.config import CONFIGS, default_config, preset_fields, sections
from ultrabm_jax.config_flags import read_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.methods import METHODS
from ultrabm_jax.models import create_model, task_from_config

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS = sorted(path for path in (ROOT / "configs").glob("*.py") if path.name != "__init__.py")


def load(path):
    """get_config() of a file that is no module of a package."""
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_imports_only_the_defaults_and_changes_only_known_fields(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert imported <= {"__future__", "ml_collections", "ultrabm_jax.config"}
    config = load(path)
    defaults = default_config(config.model.name)
    fields = {name: set(value) for name, value in config.items() if isinstance(value, ConfigDict)}
    assert fields == {name: set(value) for name, value in defaults.items() if isinstance(value, ConfigDict)}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_scripts_accept_every_experiment(path):
    assert read_config(str(path)).to_json_best_effort() == load(path).to_json_best_effort()


@pytest.mark.parametrize("name", CONFIGS)
def test_each_model_has_defaults_with_which_it_builds_and_a_method(name):
    config = default_config(name)
    assert config.model.name == name
    assert task_from_config(config).name == name
    assert name in METHODS
    assert {term for term in config.loss if term.startswith("lambda_")}


def test_sections_are_separate_objects_in_each_config():
    first, second = default_config("drgn"), default_config("drgn")
    first.loss.lambda_kl, first.data.darkness.bits = 7.0, 16
    assert (second.loss.lambda_kl, second.data.darkness.bits) == (1e-2, 8)


PRESETS = [(model, preset) for model, entry in CONFIGS.items() for preset in entry.presets]


@pytest.mark.parametrize(("model", "preset"), PRESETS)
def test_each_preset_changes_known_fields_and_builds(model, preset):
    shipped, config = default_config(model), default_config(model, preset=preset)
    assert (shipped.preset, config.preset) == ("shipped", preset)
    for field, value in preset_fields(model, preset).items():
        section, name = field.split(".")
        assert type(shipped[section][name]) is type(value)
        assert config[section][name] == value
    network = create_model(model, preset=preset, **({"remat": "steps"} if model == "lolisrflow" else {}))
    assert task_from_config(config).model == network


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UserError, match="unknown preset 'paper' of ultrabn; known: shipped"):
        preset_fields("ultrabn", "paper")
    with pytest.raises(UserError, match="unknown preset 'ultrais' of red; known: shipped, paper, code"):
        create_model("red", preset="ultrais")


def test_a_model_without_defaults_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UserError, match=r"no default config for model 'ultrabn'; known: ultrabm, red, drgn, lw_drgn"):
        default_config("ultrabn")
    assert set(sections("ultrabn")) == set(sections("ultrabm")) - {"model", "loss"}


def test_configs_are_not_installed():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert packages == {"find": {"include": ["ultrabm_jax*", "input_pipeline*"]}}
