"""Converts SCI's released weights, both ways.

The file holds the training network. Its `blocks` are further copies of the tensors of `conv` and `convs`, one for each
time they are applied, and a network of one stage does not use `calibrate`; neither is imported.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.models import create_model
from ultrabm_jax.storage.state_dict import ModulePath, StateDictReader, Tree, write_tree
from ultrabm_jax.typing import Options, StateDict, Variables

# Options with which `create_model("sci", ...)` is the released network; defaults of the importer.
RELEASE_OPTIONS: Options = {"stages": 1, "scale": 1}
TORCH_NAMES = {
    "enhancement/conv_in": "enhance.in_conv.0",
    "enhancement/block/conv": "enhance.conv.0",
    "enhancement/block/norm": "enhance.conv.1",
    "enhancement/conv_out": "enhance.out_conv.0",
    "calibration/block_in/conv": "calibrate.in_conv.0",
    "calibration/block_in/norm": "calibrate.in_conv.1",
    "calibration/block1/conv": "calibrate.convs.0",
    "calibration/block1/norm": "calibrate.convs.1",
    "calibration/block2/conv": "calibrate.convs.3",
    "calibration/block2/norm": "calibrate.convs.4",
    "calibration/conv_out": "calibrate.out_conv.0",
}


def import_sci(state_dict: StateDict, **options: object) -> Tree:
    """Converts a released state dict to the variables {"params", "batch_stats"} of `create_model("sci", **options)`.

    Raises:
      IncompatibleWeights: for the state dict of another network.
    """
    model = create_model("sci", **{**RELEASE_OPTIONS, **options})
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
    reader = StateDictReader(state_dict)
    variables = reader.read_tree(shapes, _torch_name)
    unused = r"^(enhance|calibrate)\.blocks\." + (r"|^calibrate\." if model.stages == 1 else "")
    reader.check_complete(ignore=unused, network="SCI")
    return variables


def export_sci(variables: Variables) -> StateDict:
    """The inverse of `import_sci`, without the copies of tensors that the release has."""
    return write_tree({name: variables[name] for name in ("params", "batch_stats")}, _torch_name)


def _torch_name(path: ModulePath) -> str:
    return TORCH_NAMES["/".join(path)]
