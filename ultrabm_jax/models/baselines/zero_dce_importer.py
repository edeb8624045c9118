"""The released Zero-DCE's names: `e_convN` of torch is `convN` here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.models import create_model
from ultrabm_jax.storage.state_dict import Reader, strip_common_prefix

# Options under which `create_model("zero_dce", ...)` is the released network.
RELEASE_OPTIONS = {"scale": 1}


def import_zero_dce(state_dict: Mapping[str, np.ndarray], **options: Any) -> dict[str, Any]:
    """Release state dict -> variables {"params"} for `create_model("zero_dce", **options)`.

    Raises UserError for a state dict of another network, with the first missing and unexpected names.
    """
    model = create_model("zero_dce", **options)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
    reader = Reader(strip_common_prefix(state_dict, "module."))  # the authors trained under DataParallel
    variables = reader.read_like(shapes, lambda path: f"e_{path[0]}")
    reader.finish(what="Zero-DCE")
    return variables
