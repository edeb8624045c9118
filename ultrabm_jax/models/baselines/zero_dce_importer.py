"""Converts Zero-DCE's released weights, both ways: PyTorch's `e_convN` is `convN` here."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.models import create_model
from ultrabm_jax.storage.state_dict import ModulePath, StateDictReader, Tree, strip_common_prefix, write_tree
from ultrabm_jax.typing import Options, StateDict, Variables

# Options with which `create_model("zero_dce", ...)` is the released network; defaults of the importer.
RELEASE_OPTIONS: Options = {"scale": 1}


def import_zero_dce(state_dict: StateDict, **options: object) -> Tree:
    """Converts a released state dict to the variables {"params"} of `create_model("zero_dce", **options)`.

    Raises:
      IncompatibleWeights: for the state dict of another network.
    """
    model = create_model("zero_dce", **options)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
    reader = StateDictReader(strip_common_prefix(state_dict, "module."))  # the authors trained with DataParallel
    variables = reader.read_tree(shapes, _torch_name)
    reader.check_complete(network="Zero-DCE")
    return variables


def export_zero_dce(variables: Variables) -> StateDict:
    """The inverse of `import_zero_dce`."""
    return write_tree({"params": variables["params"]}, _torch_name)


def _torch_name(path: ModulePath) -> str:
    return f"e_{path[0]}"
