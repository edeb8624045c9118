"""Converts RED's released weights to our parameters, and back.

Each convolution of a file has either `weight_v` and `weight_g` (PyTorch's weight normalisation) or, if that was
removed, `weight`. Both are read; `export_red` writes the first form, which the released code loads. The release wraps
its state dict as {"model": ...}, so `save_torch(path, {"model": to_torch("red", variables)})` writes a file for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.models import create_model
from ultrabm_jax.models.red.weight_norm import fold_weight_norm
from ultrabm_jax.storage.state_dict import ModulePath, StateDictReader, Tree
from ultrabm_jax.typing import Options, Params, StateDict, Variables

# Options with which `create_model("red", ...)` is the released network; defaults of the importer.
RELEASE_OPTIONS: Options = {"variant": "code", "scale": 1}
TORCH_NAMES = {
    "hse_grouped": "conv32x.0.0",
    "hse_reduce": "conv32x.1.0",
    "hse_fuse": "rdball.0",
    "hse_expand": "conv_rdb8x.0",
    "mse_conv1": "resblock8x.conv1.0",
    "mse_conv2": "resblock8x.conv2.0",
    "fb1_grouped": "conv32_8_cat.0.0",
    "fb1_conv": "conv32_8_cat.1.0",
    "lse_conv": "conv2x.0",
    "fb2_conv": "conv_2_8_32.0",
}


def import_red(state_dict: StateDict, **options: object) -> Tree:
    """Converts a released state dict to the variables {"params"} of `create_model("red", **options)`.

    Options default to `RELEASE_OPTIONS`. With `weight_norm=False` the gains are folded into the kernels.

    Raises:
      IncompatibleWeights: for the state dict of another network or variant.
    """
    options = {**RELEASE_OPTIONS, **options}
    model = create_model("red", **(options | {"weight_norm": True}))
    side = model.multiple
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, side, side, 1)))
    reader = StateDictReader(state_dict)
    params: Params = _read(reader, shapes["params"], ())
    reader.check_complete(network=f"RED (variant {options['variant']})")
    if not options.get("weight_norm", True):
        params = jax.tree.map(np.asarray, fold_weight_norm(params))
    return {"params": params}


def export_red(variables: Variables) -> StateDict:
    """Converts variables, with gains or folded, to a state dict with the released names."""
    state_dict: dict[str, np.ndarray] = {}
    for path, conv in _convolutions(variables["params"], ()):
        name = _torch_name(path)
        kernel = np.asarray(conv["kernel"])
        gain = np.asarray(conv["gain"]) if "gain" in conv else _norm(kernel)
        if "bias" in conv:
            state_dict[f"{name}.bias"] = np.asarray(conv["bias"])
        state_dict[f"{name}.weight_g"] = gain.reshape(-1, 1, 1, 1)
        state_dict[f"{name}.weight_v"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    return state_dict


def _read(reader: StateDictReader, shapes: Tree, path: ModulePath) -> Tree:
    if "kernel" in shapes:
        return _read_conv(reader, _torch_name(path), shapes)
    return {name: _read(reader, inner, (*path, name)) for name, inner in shapes.items()}


def _read_conv(reader: StateDictReader, name: str, shapes: Tree) -> Tree:
    height, width, inputs, outputs = shapes["kernel"].shape
    plain = f"{name}.weight" in reader
    kernel = reader.tensor(f"{name}.weight{'' if plain else '_v'}", shape=(outputs, inputs, height, width))
    kernel = np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))
    gain = _norm(kernel) if plain else reader.tensor(f"{name}.weight_g", shape=(outputs, 1, 1, 1)).reshape(-1)
    bias = {"bias": reader.tensor(f"{name}.bias", shape=(outputs,))} if "bias" in shapes else {}
    return {"kernel": kernel, "gain": gain, **bias}


def _norm(kernel: np.ndarray) -> np.ndarray:
    return np.sqrt(np.sum(kernel.astype(np.float64) ** 2, axis=(0, 1, 2))).astype(np.float32)


def _convolutions(tree: Params, path: ModulePath) -> Iterator[tuple[ModulePath, Params]]:
    if "kernel" in tree:
        yield path, tree
        return
    for name, inner in tree.items():
        yield from _convolutions(inner, (*path, name))


def _torch_name(path: ModulePath) -> str:
    """hse_blocks_0/layer2 -> RDB1.dense_layers.1.conv.1.

    The index after "conv" is 1 behind a LeakyReLU, which has index 0; a block's first layer has no LeakyReLU.
    """
    first, *rest = path
    if not first.startswith("hse_blocks_"):
        if first not in TORCH_NAMES or rest:
            raise UserError(f"the released RED has no layer {'/'.join(path)}")
        return TORCH_NAMES[first]
    block = f"RDB{int(first.removeprefix('hse_blocks_')) + 1}"
    layer = rest[0]
    if layer == "fuse":
        return f"{block}.conv_1x1.0"
    number = int(layer.removeprefix("layer")) - 1
    return f"{block}.dense_layers.{number}.conv.{min(number, 1)}"
