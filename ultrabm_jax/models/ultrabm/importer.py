"""Converts the released UltraIS weights to UltraBM's parameters.

The state dict has three parts: `illumination.*`, `reflectance.*` (with `reflectance.RTFU.*`, the RSMU) and `seg.*`
(HRNet-W48). The released code keeps RSMU's convolutions of steps 1 and 3 in a plain dict, outside the state dict, so
files written by it lack them and cannot reproduce the trained network. The importer expects them under the names that
PyTorch would have given them: `reflectance.RTFU.rsmu_stage1.x2.0.block.1.weight` and so on.
"""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.backbones.importers import import_hrnet
from ultrabm_jax.errors import UserError
from ultrabm_jax.models import create_model
from ultrabm_jax.storage.state_dict import StateDictReader, Tree
from ultrabm_jax.typing import Options, StateDict

Branches = tuple[tuple[str, tuple[int, ...]], ...]

# Options with which `create_model("ultrabm", ...)` is the released network; defaults of the importer.
RELEASE_OPTIONS: Options = {"compat": "ultrais", "semantic": "hrnet_w48"}
LEVELS = (1, 2, 3, 4, 5)
# Scale -> the branches x1, x2(, x4), coarse to fine: the release's name, and the order of its fusion's inputs.
BRANCHES: dict[int, Branches] = {
    2: (("bot", (0, 1)), ("top", (1, 0))),
    4: (("bot", (2, 1, 0)), ("mid", (2, 1, 0)), ("top", (2, 1, 0))),
}
UNUSED = r"reflectance\.RTFU\.RTM\.down_x2_2\.weight"  # of the x2 network: defined but never called


def import_ultrabm(state_dict: StateDict, **options: object) -> Tree:
    """Converts a state dict to the variables {"params", "frozen"} of `create_model("ultrabm", **options)`.

    Options default to `RELEASE_OPTIONS`. `scale` is read from the state dict; if given, it must agree.

    Raises:
      UserError: if `scale` disagrees.
      IncompatibleWeights: for the state dict of another network or variant.
    """
    scale = 4 if "reflectance.RTFU.RTM.dau_mid.body.0.weight" in state_dict else 2
    if options.get("scale", scale) != scale:
        raise UserError(f"these weights are for scale {scale}, not {options['scale']}")
    semantic = {name: value for name, value in state_dict.items() if name.startswith("seg.")}
    streams = {name: value for name, value in state_dict.items() if name not in semantic}
    params = _import_streams(streams, options, scale=scale)
    return {"params": params, "frozen": {"semantic": import_hrnet(semantic, width=48)}}


def _import_streams(state_dict: StateDict, options: Options, *, scale: int) -> Tree:
    model = create_model("ultrabm", **{**RELEASE_OPTIONS, **options, "scale": scale})
    reader = StateDictReader(state_dict)
    reflectance = reader.scope("reflectance")
    params = {
        "illumination": {
            "unet": _unet(reader.scope("illumination")),
            "head": reader.conv("illumination.conv_out_r"),
        },
        "reflection": _unet(reflectance) | _modulation(reflectance),
        "rsmu": _rsmu(reflectance.scope("RTFU"), scale=scale),
    }
    network = f"UltraBM x{scale} as released (UltraIS)"
    unused = UNUSED if scale == 2 else None
    reader.check_complete(params, shapes=_shapes(model)["params"], ignore=unused, network=network)
    return params


@functools.cache  # tracing takes seconds
def _shapes(model: nn.Module) -> Tree:
    shapes: Tree = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    return shapes


def _unet(reader: StateDictReader) -> Tree:
    out = {"conv_in": reader.conv("conv_in", bias=True), "conv_out": reader.conv("conv10_1", bias=True)}
    out |= {f"encoder{i}": _context_unit(reader.scope(f"conv{i}.")) for i in range(1, 6)}
    return out | {f"decoder{i}": _context_unit(reader.scope(f"conv{i + 5}.")) for i in range(1, 5)}


def _context_unit(reader: StateDictReader) -> Tree:
    context = {
        "head1": reader.conv("gcnet.head.0"),
        "head2": reader.conv("gcnet.head.2"),
        "mask": reader.conv("gcnet.conv_mask"),
        "transform1": reader.conv("gcnet.channel_add_conv.0"),
        "transform2": reader.conv("gcnet.channel_add_conv.2"),
    }
    return {"conv1": reader.conv("body.0"), "conv2": reader.conv("body.2"), "context": context}


def _modulation(reader: StateDictReader) -> Tree:
    """The release names level k's IMU and SMU sm55 and sm5 (k = 1) to sm99 and sm9 (k = 5)."""
    out = {}
    for k in LEVELS:
        out[f"imu{k}"] = _modulation_unit(reader.scope(f"sm{k + 4}{k + 4}."), guided=False)
        out[f"smu{k}"] = _modulation_unit(reader.scope(f"sm{k + 4}."), guided=True)
    return out


def _modulation_unit(reader: StateDictReader, *, guided: bool) -> Tree:
    attention = {
        "q": reader.conv("attn.q"),
        "q_conv": reader.conv("attn.q_dwconv"),
        "kv": reader.conv("attn.kv"),
        "kv_conv": reader.conv("attn.kv_dwconv"),
        "temperature": reader.tensor("attn.temperature").reshape(-1),
        "project": reader.conv("attn.project_out"),
    }
    ffn = {
        "project_in": reader.conv("ffn.project_in"),
        "conv": reader.conv("ffn.dwconv"),
        "project_out": reader.conv("ffn.project_out"),
    }
    norms = {f"norm{i}": {"norm": reader.norm(f"norm{i}.body")} for i in (1, 2)}
    guidance = {"conv_guidance": reader.conv("conv_guidence", bias=True)} if guided else {}  # the release's spelling
    return {"attention": attention, "ffn": ffn} | norms | guidance


def _rsmu(reader: StateDictReader, *, scale: int) -> Tree:
    last = len(BRANCHES[scale]) - 1
    out = {"fsi": _exchange(reader.scope("RTM."), branches=BRANCHES[scale])}
    for i in range(last + 1):
        for j in range(i):
            out[f"stage1_branch{i}_{j}"] = reader.conv(f"rsmu_stage1.x{2**i}.{j}.block.1")
        for j in range(last - i):
            out[f"stage3_branch{i}_{j}"] = reader.conv(f"rsmu_stage3.x{2**i}.{j}.block.1")
    return out | {"fuse": reader.conv("final1_conv"), "rgb": reader.conv("final_conv")}


def _exchange(reader: StateDictReader, *, branches: Branches) -> Tree:
    out = {}
    for i, (branch, order) in enumerate(branches):
        out[f"unit{i}"] = _context_unit(reader.scope(f"dau_{branch}."))
        out[f"fusion{i}"] = _fusion(reader.scope(f"skff_{branch}."), order)
        out[f"out{i}"] = reader.conv(f"conv_out_{branch}")
        for j in range(i):
            out[f"down{i}to{j}"] = reader.conv(f"down_x{2**i}_{i - j}")
    return out


def _fusion(reader: StateDictReader, order: tuple[int, ...]) -> Tree:
    excite = {f"excite{branch}": reader.conv(f"fcs.{i}") for i, branch in enumerate(order)}
    return {"squeeze": reader.conv("conv_du.0")} | excite
