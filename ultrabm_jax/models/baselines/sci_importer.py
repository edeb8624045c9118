"""The released SCI's names.

The file holds the training network. Its `blocks` are the same tensors as `conv` and `convs`, once more for every time
that they are applied, and its `calibrate` part has no use in a network of one stage: both are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.models import create_model
from ultrabm_jax.storage.state_dict import Reader

# Options under which `create_model("sci", ...)` is the released network.
RELEASE_OPTIONS = {"stages": 1, "scale": 1}
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


def import_sci(state_dict: Mapping[str, np.ndarray], **options: Any) -> dict[str, Any]:
    """Release state dict -> variables {"params", "batch_stats"} for `create_model("sci", **options)`.

    Raises UserError for a state dict of another network, with the first missing and unexpected names.
    """
    model = create_model("sci", **{**RELEASE_OPTIONS, **options})
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
    reader = Reader(state_dict)
    variables = reader.read_like(shapes, lambda path: TORCH_NAMES["/".join(path)])
    unused = r"^(enhance|calibrate)\.blocks\." + (r"|^calibrate\." if model.stages == 1 else "")
    reader.finish(ignore=unused, what="SCI")
    return variables
