"""One program on every mesh. Eight virtual devices need a process of their own."""

import importlib
import json

import jax
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict
from PIL import Image
from tiny import DEFAULTS

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.runs import load_run
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.scaling.footprint import bytes_per_device
from ultrabm_jax.training.sharding import check_hosts, check_patch, leaf_name, make_mesh, partition, state_shardings

# Sums in another order; measured after three steps: 4.4e-7 of a metric, 4.2e-7 of the largest parameter (UltraBM: 3e-7
# and 7.4e-7).
TOLERANCE = 2e-6
# Adam divides a gradient near zero by itself, so microbatches change a few parameter updates; measured: 7.9e-6.
TOLERANCE_OF_PARTS = 2e-5


@pytest.fixture(scope="module")
def many(tmp_path_factory, python):
    root = tmp_path_factory.mktemp("eight")
    for kind, side in (("low", 64), ("high", 128)):
        (root / kind).mkdir()
        Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)).save(
            root / kind / "a.png"
        )
    overrides = {"data.batch_size": 8, "data.root": str(root), "data.eval_root": str(root), "train.steps": 4}
    overrides |= {"model.semantic": "vgg16", "train.grad_clip": 0.0}
    done = python("tests/training/eight_devices.py", json.dumps(DEFAULTS | overrides), str(root / "run"), devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]) | {"workdir": root / "run"}


@pytest.mark.parametrize("mesh", ["data", "mixed", "parts"])
def test_any_mesh_trains_like_one_device(many, mesh):
    for ours, alone in zip(many[mesh]["metrics"], many["one"]["metrics"], strict=True):
        assert ours == pytest.approx(alone, rel=TOLERANCE)
    assert many[mesh]["apart"] < (TOLERANCE_OF_PARTS if mesh == "parts" else TOLERANCE)


@pytest.mark.parametrize("mesh", ["one", "data", "mixed"])
def test_step_preserves_the_shardings_of_the_state(many, mesh):
    assert many[mesh]["kept"]


def test_large_parameters_and_their_moments_are_split_over_fsdp(many):
    split = {name for name, part in many["mixed"]["fractions"]["params"].items() if part < 1}
    assert split == {"['second']['kernel']"}
    moments = {name: part for name, part in many["mixed"]["fractions"]["opt_state"].items() if part < 1}
    assert len(moments) == 2
    assert set(moments.values()) == {0.5}
    assert set(many["data"]["fractions"]["params"].values()) == {1.0}


def test_data_parallel_communication_does_not_depend_on_the_number_of_devices(many):
    two, eight = (many["compiled"][n] for n in ("2", "8"))
    assert eight["collectives"] == two["collectives"]
    assert eight["bytes"] == two["bytes"]
    assert set(eight["bytes"]) <= {"all-reduce", "collective-permute"}  # gradients; neighbours, for mixup
    losses = 2**10
    assert two["parameters"] <= two["bytes"]["all-reduce"] <= two["parameters"] + losses


def test_microbatches_communicate_as_much_as_one(many):
    whole, parts = (many["compiled"][name] for name in ("8", "8 in parts"))
    assert parts["collectives"] == whole["collectives"]
    assert parts["collectives"]["all-reduce"] == 1
    assert parts["bytes"]["all-reduce"] == whole["bytes"]["all-reduce"]


def test_no_activations_are_gathered(many):
    for compiled in many["compiled"].values():
        assert compiled["gathered_activations"] == []
    assert many["compiled"]["mixed"]["collectives"]["all-gather"] >= 1  # the split kernel


def test_the_step_is_traced_once_for_each_stage(many):
    assert many["traces"] == 2


def test_checkpoint_of_eight_devices_is_restored_on_one(many):
    run = load_run(many["workdir"])
    assert run.step == 4
    assert {len(leaf.devices()) for leaf in jax.tree.leaves(run.variables)} == {1}
    assert set(run.variables) == {"params", "frozen"}
    assert np.isfinite(run.model.apply(run.variables, np.zeros((1, 8, 8, 3), np.float32))["restored"]).all()


@pytest.mark.soak
def test_any_mesh_trains_ultrabm_like_one_device(python, tmp_path):
    """The real network, whose coarsest level is a sixteenth of the patch."""
    overrides = {"model.name": "ultrabm", "model.isdm": "no_smu", "data.batch_size": 8, "data.patch_size": 48}
    done = python("tests/training/eight_devices.py", json.dumps(DEFAULTS | overrides), "", devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    for mesh in ("data", "mixed"):
        for ours, alone in zip(report[mesh]["metrics"], report["one"]["metrics"], strict=True):
            assert ours == pytest.approx(alone, rel=TOLERANCE)
        assert report[mesh]["apart"] < TOLERANCE


@pytest.mark.soak
def test_any_mesh_trains_both_phases_of_drgn_like_one_device(python):
    """Measured: 1.3e-6 of the largest parameter, 4.4e-6 of a metric, and 1.4e-7 of L_KL, which is near zero."""
    done = python("tests/training/drgn_devices.py", devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    for mesh in ("data", "mixed"):
        for ours, alone in zip(report[mesh], report["one"], strict=True):
            for step, expected in zip(ours["metrics"], alone["metrics"], strict=True):
                assert step == pytest.approx(expected, rel=1e-5, abs=5e-7)
            assert ours["apart"] < TOLERANCE


@pytest.mark.parametrize(("patch", "fits"), [(48, True), (64, True), (32, False), (16, False), (50, False)])
def test_unsplittable_patch_is_refused(patch, fits):
    alone, split = (jax.sharding.AbstractMesh((1, 1, ways), ("data", "fsdp", "spatial")) for ways in (1, 4))
    check_patch(patch, alone)
    if fits:
        check_patch(patch, split)
        return
    with pytest.raises(UserError, match=f"spatial=4 cannot split a patch of {patch}: .* multiple of 4 and at least 48"):
        check_patch(patch, split)


def mesh_config(data=-1, fsdp=1, spatial=1):
    return ConfigDict({"data": data, "fsdp": fsdp, "spatial": spatial})


def test_one_axis_takes_the_remaining_devices():
    assert dict(make_mesh(mesh_config()).shape) == {"data": jax.device_count(), "fsdp": 1, "spatial": 1}


@pytest.mark.parametrize(
    "sizes",
    [{"data": 3}, {"fsdp": 2, "data": 1}, {"data": -1, "fsdp": -1}, {"data": 0}, {"data": -2}, {"spatial": 3}],
)
def test_mesh_of_another_size_is_refused(sizes):
    asked = mesh_config(**sizes)
    with pytest.raises(UserError, match=f"mesh data={asked.data}, fsdp={asked.fsdp}, spatial={asked.spatial} does not"):
        make_mesh(asked)


def test_image_is_not_split_over_processes():
    check_hosts(2, 4)
    with pytest.raises(UserError, match=r"mesh\.spatial=8 splits an image over several processes"):
        check_hosts(8, 4)


WAYS = {"data": 4, "fsdp": 8, "spatial": 2}
LEAVES = {
    "params/enc/kernel": ((3, 3, 64, 128), (None, None, None, "fsdp")),
    "params/dense/kernel": ((512, 1024), (None, "fsdp")),
    "params/narrow/kernel": ((3, 3, 128, 44), (None, None, "fsdp")),
    "params/odd/kernel": ((3, 3, 99, 99), ()),
    "params/enc/bias": ((2**15,), ()),
    "params/few/kernel": ((3, 3, 8, 8), ()),
    "step": ((), ()),
}


@pytest.mark.parametrize(("name", "shape", "expected"), [(name, *rest) for name, rest in LEAVES.items()])
def test_first_matching_rule_applies(name, shape, expected):
    assert tuple(partition(name, shape, WAYS, small=2**14)) == expected
    assert tuple(partition(name, shape, WAYS | {"fsdp": 1}, small=2**14)) == ()


def test_minimum_sharded_size_is_configurable():
    assert tuple(partition("params/few/kernel", (3, 3, 8, 8), WAYS, small=500)) == (None, None, None, "fsdp")


def test_moments_and_moving_average_are_sharded_like_their_parameters():
    mesh = jax.sharding.AbstractMesh((4, 8, 2), ("data", "fsdp", "spatial"))
    params = {"a": {"kernel": np.zeros((3, 3, 64, 64), np.float32), "bias": np.zeros(64, np.float32)}}
    state = jax.eval_shape(lambda: TrainState(np.int32(0), params, optax.adamw(1e-3).init(params), params, None))
    shardings = jax.tree_util.tree_leaves_with_path(state_shardings(state, mesh, small=2**10))
    kernels = [tuple(sharding.spec) for path, sharding in shardings if "kernel" in leaf_name(path)]
    assert kernels == [(None, None, None, "fsdp")] * 4  # parameters, two moments, moving average


@pytest.mark.parametrize("name", ["ultrabm_lol_x2", "drgn_lol"])
def test_under_fsdp_a_device_holds_its_share_of_the_networks(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    alone, eight, many = bytes_per_device(config, [(1, 1), (1, 8), (1, 64)])
    assert eight["state"] < alone["state"] / 4  # small kernels are whole
    assert many["state"] <= eight["state"]
    assert alone["state"] >= 3 * alone["parameters"]  # two moments; DRGN's discriminators
