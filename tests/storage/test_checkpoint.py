"""Training checkpoints of the common trainers: which tensors are the network, behind which key and prefix."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.checkpoint import PREFIXES, WRAPPERS, strip_prefixes
from ultrabm_jax.storage.pickle_objects import CorruptFile
from ultrabm_jax.weights import load_torch

A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.full(4, 7, np.float32)
STORAGES = {"a": A.tobytes(), "b": B.tobytes(), "step": np.array(3).tobytes()}


@pytest.fixture
def net(torch_files):
    """`net("prefix.", swap=True)`: two tensors; with `swap` under each other's names, to tell two networks apart."""
    view_of = torch_files["view_of"]

    def make(prefix="", *, swap=False):
        first, second = ((B, "b"), (A, "a"))[:: 1 if swap else -1]
        return {f"{prefix}conv.weight": view_of(*first), f"{prefix}conv.bias": view_of(*second)}

    return make


@pytest.fixture
def load(write_zip):
    return lambda tree, **options: load_torch(write_zip(tree, STORAGES), **options)


def assert_is_net(got):
    assert sorted(got) == ["conv.bias", "conv.weight"]
    np.testing.assert_array_equal(got["conv.weight"], A)
    np.testing.assert_array_equal(got["conv.bias"], B)


@pytest.mark.parametrize("key", WRAPPERS)
def test_every_wrapper(key, load, net, logged):
    assert_is_net(load({"epoch": 3, key: net()}))
    assert_is_net(load({"checkpoint_version": 1, "module": {key: net("module.")}}))
    assert not logged  # nothing to choose from


@pytest.mark.parametrize("first", PREFIXES)
def test_prefixes_in_any_order(first, load, net):
    assert_is_net(load(net(first)))
    for second in ("module.", "_orig_mod."):
        assert_is_net(load({"state_dict": net(first + second)}))
        assert_is_net(load({"state_dict": net(second + first)}))


def test_compiled_parts_of_a_network(load, net):
    """torch.compile(net.conv), FSDP and activation checkpointing wrap parts of a network."""
    for wrapper in ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"):
        names = {name.replace("conv.", f"conv.{wrapper}."): value for name, value in net().items()}
        assert_is_net(load(names))
    first, second = net("_orig_mod.module."), net("module._orig_mod.")
    assert_is_net(load({"_orig_mod.module.conv.weight": first["_orig_mod.module.conv.weight"],
                        "module._orig_mod.conv.bias": second["module._orig_mod.conv.bias"]}))  # fmt: skip
    ambiguous = {**net(), **net("_orig_mod.")}
    assert len(load(ambiguous)) == 4


@pytest.mark.parametrize("part", ["lpips_net", "val_psnr", "perceptual", "perceptual_vgg", "train_ssim"])
def test_metrics_beside_a_network_are_left_out(load, net, logged, part):
    assert_is_net(load({"state_dict": {**net("model."), **net(f"{part}.", swap=True)}}))
    assert logged[0].endswith(f"net.pth: ignored, not part of the network: {part}")


def test_other_first_names_are_kept(load, net):
    assert list(load(net("backbone."))) == ["backbone.conv.weight", "backbone.conv.bias"]
    both = {**net("backbone."), **net("model.")}
    assert len(load(both)) == 4
    assert "model.conv.weight" in load(both)  # a part of a larger network


def test_params_ema_is_preferred_and_said(load, net, logged):
    tree = {"params": net(swap=True), "params_ema": net()}
    assert_is_net(load(tree))
    assert len(logged) == 1
    assert logged[0].endswith("net.pth: reading params_ema; the file also holds params")
    np.testing.assert_array_equal(load(tree, key="params")["conv.weight"], B)
    assert len(logged) == 1  # the caller chose


def test_other_averages_are_read_only_if_there_is_nothing_else(load, net, logged):
    assert_is_net(load({"ema": net(swap=True), "model": net()}))
    assert logged[0].endswith("net.pth: reading model; the file also holds ema")
    np.testing.assert_array_equal(load({"ema": net(swap=True), "model": net()}, key="ema")["conv.weight"], B)
    assert_is_net(load({"ema": {"decay": 0.999, "shadow": net()}}))


def test_averaged_model_of_torch(load, net, torch_files, logged):
    step = torch_files["View"]("step", "Long", 1, (), ())
    assert_is_net(load({"n_averaged": step, **net("module.")}))
    assert logged[0].endswith("net.pth: ignored, not part of the network: n_averaged")


def test_lightning_checkpoint(load, net, logged, torch_files):
    call = torch_files["Call"]
    tree = {
        "epoch": 9,
        "global_step": 100,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {**net("generator._orig_mod."), **net("discriminator.", swap=True), **net("loss_fn.vgg.")},
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint": {"dirpath": call("pathlib", "PosixPath", ("/", "runs"))}},
        "optimizer_states": [{"state": {0: {"exp_avg": net()["conv.bias"]}}, "param_groups": [{"lr": 0.1}]}],
        "hyper_parameters": torch_files["Instance"]("argparse", "Namespace", {"lr": 0.1}),
    }
    assert_is_net(load(tree))
    assert logged[0].endswith("net.pth: ignored, not part of the network: discriminator, loss_fn")


def test_step_stored_as_a_tensor_beside_the_network(load, net, torch_files):
    step = torch_files["View"]("step", "Long", 1, (), ())
    assert_is_net(load({"step": step, "model": net()}))
    assert_is_net(load({"step": step, "unet": net()}))


def test_one_unknown_key_is_taken_and_two_are_listed(load, net):
    assert_is_net(load({"epoch": 1, "unet": net(), "optimizer": net(swap=True)}))
    message = (
        r"no state dict .*its keys: unet \(a dictionary of 2 tensors\), critic \(a dictionary of 2 tensors\); "
        r"choose one: --weights-key unet or critic$"
    )
    with pytest.raises(UserError, match=message):
        load({"unet": net(), "critic": net(swap=True)})
    np.testing.assert_array_equal(load({"unet": net(), "critic": net(swap=True)}, key="critic")["conv.weight"], B)


def test_two_networks_of_a_gan(load, net, logged):
    assert_is_net(load({"netG": net(), "netD": net(swap=True), "iter": 5}))
    assert logged[0].endswith("net.pth: reading netG; the file also holds netD")


def test_objects_inside_a_training_checkpoint_are_dropped(load, net, torch_files):
    call, instance = torch_files["Call"], torch_files["Instance"]
    dtype = call("numpy", "dtype", ("f8", False, True))
    others = {
        "best_psnr": call("numpy._core.multiarray", "scalar", (dtype, call("_codecs", "encode", ("x", "latin1")))),
        "psnrs": call("numpy.core.multiarray", "_reconstruct", (dtype, (0,), "b")),
        "args": instance("argparse", "Namespace", {"lr": 0.1, "data": call("pathlib", "PosixPath", ("/", "data"))}),
        "config": instance("omegaconf.dictconfig", "DictConfig", {"_content": {"lr": 1}}),
        "when": call("datetime", "datetime", ("x",)),
        "mode": call("train.enums", "Mode", (1,)),
        "optimizer": {"state": {0: {"step": 3, "exp_avg": net()["conv.bias"]}}, "param_groups": [{"params": [0]}]},
        "scheduler": instance("torch.optim.lr_scheduler", "CosineAnnealingLR", {"T_max": 9}),
        "rng": call("torch._utils", "_rebuild_tensor_v2", (call("torch", "Generator", ()), 0, (1,), (1,), False, None)),
        "history": [call("collections", "deque", ([1.0],)), call("collections", "Counter", ({"a": 1},))],
    }
    for order in (lambda items: items, reversed):
        tree = dict(order([("state_dict", net("module.")), *others.items()]))
        assert_is_net(load(tree))


def test_a_network_saved_as_a_whole(load, net, torch_files):
    """torch.save(model): parameters and persistent buffers, by the names of its state dict."""
    instance = torch_files["Instance"]
    tensors = net()
    conv = instance(
        "torch.nn.modules.conv",
        "Conv2d",
        {"_parameters": {"weight": tensors["conv.weight"], "bias": tensors["conv.bias"]}, "_buffers": {}},
    )
    buffers = {"grid": tensors["conv.bias"]}
    root = instance("my_project.net", "Net", {"_parameters": {}, "_buffers": buffers, "_modules": {"conv": conv}})
    root.state["_non_persistent_buffers_set"] = ["grid"]
    assert_is_net(load(root))
    assert_is_net(load({"model": root, "epoch": 3}))


def test_tensors_of_types_that_are_not_read(load, net, torch_files):
    quantised = torch_files["Call"]("torch._utils", "_rebuild_qtensor", ())
    with pytest.raises(UserError, match=r"tensor conv\.scale is not read: its type is quantised$"):
        load({**net(), "conv.scale": quantised})
    complex_view = torch_files["View"]("c", "ComplexFloat", 1, (1,), (1,))
    with pytest.raises(UserError, match=r"tensor f is not read: its type is torch\.ComplexFloatStorage$"):
        load({"model": {**net(), "f": complex_view}})
    assert_is_net(load({"model": net(), "spectrum": {"f": complex_view}}))


def test_the_error_lists_the_keys_of_the_file(load, torch_files):
    tree = {"epoch": 3, "lr": 0.1, "names": ["a", "b"], "none": None, 5: "five", "log": {}, "b\n": (1,)}
    message = (
        r"net\.pth holds no state dict \(no named tensors\); its keys: epoch \(int\), lr \(float\), "
        r"names \(a list of 2\), none \(None\), 5 \(str\), log \(a dictionary of 0 entries\), b\\n \(a tuple of 1\)$"
    )
    with pytest.raises(UserError, match=message):
        load(tree)
    with pytest.raises(UserError, match=r"k11 \(int\), and 88 more$"):
        load({f"k{i}": i for i in range(100)})
    with pytest.raises(UserError, match=r"no named tensors below 'ema'; its keys: epoch"):
        load(tree, key="ema")
    with pytest.raises(UserError, match=r"it is a list of 2$"):
        load([1, 2])


def test_strip_prefixes_keeps_what_would_become_ambiguous():
    assert strip_prefixes({"module.": 1}) == ({"module.": 1}, ())
    assert strip_prefixes({}) == ({}, ())
    assert strip_prefixes({"model.a": 1, "net.a": 2})[0] == {"model.a": 1, "net.a": 2}


def test_shared_dictionaries_take_linear_time(load, torch_files, net):
    """Every wrapper at every level refers to the same dictionary."""
    from ultrabm_jax.storage.checkpoint import find_state_dict

    node = {f"k{i}": i for i in range(1000)}
    for _ in range(50):
        node = dict.fromkeys(itertools.chain(WRAPPERS, map(str, range(1000))), node)
    with pytest.raises(UserError, match="and 1006 more"):
        find_state_dict(node, "x")


def test_a_network_of_endless_modules_is_refused(torch_files, write_zip):
    from ultrabm_jax.storage.checkpoint import find_state_dict
    from ultrabm_jax.storage.pickle_objects import Inert

    root = Inert("Net")
    root.state = {"_modules": {"a": root, "b": root}}
    with pytest.raises(CorruptFile, match="too many parts"):
        find_state_dict(root, "x")
