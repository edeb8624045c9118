"""train.init_from: a new run starts from the parameters of another run or of a file."""

from __future__ import annotations

import json
import re

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from run_files import equal
from tiny import tiny_config

from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.runs import load_run
from ultrabm_jax.methods import create_method
from ultrabm_jax.models import task_from_config
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.init_from import initialise, read_initial
from ultrabm_jax.training.sharding import make_mesh, state_shardings
from ultrabm_jax.training.step import init_sharded_state
from ultrabm_jax.weights import save_safetensors, save_torch

pytestmark = pytest.mark.usefixtures("no_tensorboard")


def start(config):
    """The state with which a run of `config` starts."""
    mesh = make_mesh(config.mesh)
    method = create_method(config)
    stage = type("Stage", (), {"patch_size": 16})
    state, shardings = init_sharded_state(method, config, stage, mesh)
    return state, shardings


def assert_params(tree, expected):
    jax.tree.map(np.testing.assert_array_equal, tree, expected)


def test_a_run_starts_from_the_best_parameters_of_another_one_with_a_fresh_optimiser(finished, logged):
    _, workdir, _ = finished
    best = load_run(workdir, best=True)
    config = tiny_config(train__init_from=str(workdir), seed=7, **{"model.semantic": "vgg16"})
    fresh, shardings = start(config)
    state = initialise(fresh, shardings, config)
    assert_params(state.params, best.variables["params"])
    assert_params(state.ema, best.variables["params"])
    assert_params(state.frozen["model"], best.variables["frozen"])
    assert not equal(fresh.frozen["model"], best.variables["frozen"])
    assert equal(state.opt_state, fresh.opt_state)
    assert int(state.step) == 0
    count = len(jax.tree.leaves(state.params))
    origin = f"{workdir}, step {best.step} ({best.reason})"
    assert logged[-1].startswith(f"train.init_from: taken from {origin}: {count} arrays, ")
    assert not any("new" in line or "not used" in line for line in logged)


def test_the_loop_applies_it_once_and_config_json_records_it(finished, pairs, tmp_path, logged):
    _, workdir, _ = finished
    roots = {"data.root": str(pairs), "data.eval_root": str(pairs), "model.semantic": "vgg16"}
    config = tiny_config(**roots, train__init_from=str(workdir), train__steps=2, train__learning_rate=1e-30)
    config.train.cycles = ((1, 1e-30),)
    config.train.weight_decay = 0.0
    state = train_and_evaluate(config, tmp_path)
    assert int(state.step) == 2
    assert_params(state.params, load_run(workdir, best=True).variables["params"])  # at this rate nothing changes
    assert json.loads((tmp_path / "config.json").read_text())["config"]["train"]["init_from"] == str(workdir)
    assert sum(line.startswith("train.init_from: taken") for line in logged) == 1
    logged.clear()
    config.train.init_from = str(tmp_path / "gone")  # not read: the run resumes
    config.train.steps = 4
    assert int(train_and_evaluate(config, tmp_path).step) == 4
    notes = [line for line in logged if "ignored" in line]
    assert notes == ["note: train.init_from is ignored: the parameters are the checkpoint's"]
    assert not any("taken" in line for line in logged)


def test_other_parts_are_new_or_not_used_and_named(finished, logged):
    _, workdir, _ = finished
    config = tiny_config(train__init_from=str(workdir), seed=7, **{"model.stream": "single"})
    fresh, shardings = start(config)
    state = initialise(fresh, shardings, config)
    theirs = load_run(workdir, best=True).variables["params"]
    assert_params(state.params, {name: theirs[name] for name in ("first", "second", "last")})
    assert logged[-1] == "train.init_from: not used: 2 arrays, 28 parameters (illumination/bias, illumination/kernel)"


@pytest.mark.parametrize("prefix", ["", "params/"])
def test_safetensors_with_the_names_of_the_parameters(tmp_path, logged, prefix):
    source, _ = start(tiny_config(**{"model.stream": "single"}))
    flat = {f"{prefix}{name}": np.asarray(value) for name, value in flatten_dict(source.params, sep="/").items()}
    save_safetensors(tmp_path / "own.safetensors", flat)
    config = tiny_config(train__init_from=str(tmp_path / "own.safetensors"), seed=7)
    fresh, shardings = start(config)
    state = initialise(fresh, shardings, config)
    assert_params({name: state.params[name] for name in source.params}, source.params)
    assert_params(state.params["illumination"], fresh.params["illumination"])
    assert logged[-1] == "train.init_from: new: 2 arrays, 28 parameters (illumination/bias, illumination/kernel)"


def test_a_network_of_another_scale_gives_what_has_the_same_name_and_shape(tmp_path, logged):
    configs = [default_config("ultrabm") for _ in range(2)]
    for config, scale in zip(configs, (2, 4), strict=True):
        config.model.update({"scale": scale, "variant": "small", "semantic": "none"})
    shapes = [jax.eval_shape(task_from_config(config).init_params, jax.random.key(0)) for config in configs]
    one, two = (flatten_dict(tree, sep="/") for tree in shapes)
    halves = {key: np.full(leaf.shape, 0.5, np.float32) for key, leaf in one.items()}
    save_safetensors(tmp_path / "x2.safetensors", halves)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes[1])
    state = TrainState(np.int32(0), params, (), None, {})
    configs[1].train.init_from = str(tmp_path / "x2.safetensors")
    mesh = make_mesh(configs[1].mesh)
    after = initialise(state, state_shardings(state, mesh, small=0), configs[1])
    taken = {key for key, leaf in flatten_dict(after.params, sep="/").items() if (np.asarray(leaf) == 0.5).all()}
    assert taken == {key for key, leaf in two.items() if key in one and leaf.shape == one[key].shape}
    assert 0.5 < len(taken) / len(two) < 1
    new = next(line for line in logged if line.startswith("train.init_from: new: "))
    assert re.match(rf"train.init_from: new: {len(two) - len(taken)} arrays, [\d,]+ parameters \(", new)


def test_a_file_with_the_names_of_the_authors(tmp_path):
    from ultrabm_jax.weights import from_torch, to_torch

    config = default_config("red")
    task = task_from_config(config)
    params = jax.tree.map(np.asarray, task.init_params(jax.random.key(3)))
    save_torch(tmp_path / "red.pth", {"model": to_torch("red", {"params": params})})
    initial = read_initial(str(tmp_path / "red.pth"), config)
    own = flatten_dict(params, sep="/")
    assert {name: array.shape for name, array in initial.params.items()} == {
        name: array.shape for name, array in own.items()
    }
    expected = flatten_dict(from_torch("red", to_torch("red", {"params": params}))["params"], sep="/")
    for key, array in initial.params.items():
        np.testing.assert_allclose(array, expected[key], rtol=1e-6)


def test_errors_are_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    save_safetensors(tmp_path / "torch.safetensors", {"conv.weight": np.zeros(3, np.float32)})
    save_safetensors(tmp_path / "other.safetensors", {"a/kernel": np.zeros((2, 3), np.float32)})
    for source, message in (
        ("none", "none is neither a workdir nor a file nor a pretrained model; known: "),
        ("empty", "holds no run: config.json is missing"),
        ("torch.safetensors", "has names such as conv.weight; a file for tiny has the names of its parameters"),
        ("other.safetensors", "no array of .* has a name and shape of tiny x2: it has a/kernel; the model has"),
    ):
        config = tiny_config(train__init_from=str(tmp_path / source))
        with pytest.raises(UserError, match=message) as caught:
            initialise(*start(config), config)
        assert "\n" not in str(caught.value)
