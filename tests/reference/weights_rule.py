"""Deterministic network weights behind the parity values, from the name and shape of each tensor. NumPy only.

Per tensor, z = Generator(PCG64(crc32(name))).standard_normal(shape), in float64 and then cast to float32. Convolution
weights and weight_v are z * gain / sqrt(fan_in) with fan_in = prod(shape[1:]); biases and running means 0.1 z; norm
weights, weight_g and temperatures 1 + 0.1 z; running variances exp(0.1 z); batch counters 0.
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "state_dicts"
# (pattern, gain): the first pattern found in the tensor's name counts. Chosen so that activations are of order one.
GAINS = {
    "ultrais": (
        (r"^seg\.conv[12]\.", 3.0),
        (r"^seg\.stage.*branches.*conv2", 0.5),
        (r"^seg\..*fuse_layers", 0.35),
        (r"^seg\.", 1.0),
        (r"conv_in\.", 3.0),
        (r"final1?_conv\.", 1.5),
        (r".", 1.0),
    ),
    "vgg19": ((r".", 2.0**0.5),),
    "released": ((r".", 1.0),),  # stands in for weights that may not be distributed: RED, Zero-DCE, SCI
}
# SCI's release stores these tensors under two names.
SAME = ((r"^enhance\.blocks\.\d+\.", "enhance.conv."), (r"^calibrate\.blocks\.\d+\.", "calibrate.convs."))


def read_spec(name: str) -> list[tuple[str, tuple[int, ...]]]:
    """(tensor name, shape in PyTorch's layout) of every tensor of the network `name`."""
    lines = gzip.decompress((FOLDER / f"{name}.txt.gz").read_bytes()).decode().splitlines()
    rows = (line.split("\t")[:2] for line in lines if line and not line.startswith("#"))
    return [(tensor, tuple(int(n) for n in shape.strip("()").split(",") if n.strip())) for tensor, shape in rows]


def make_tensor(name: str, shape: tuple[int, ...], gains: tuple[tuple[str, float], ...], seed: str) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    z = np.random.Generator(np.random.PCG64(zlib.crc32((seed + name).encode()))).standard_normal(shape)
    if name.endswith("running_var"):
        values = np.exp(0.1 * z)
    elif name.endswith(("running_mean", "bias")):
        values = 0.1 * z
    elif name.endswith(("temperature", "weight_g")) or (name.endswith("weight") and len(shape) == 1):
        values = 1.0 + 0.1 * z
    elif name.endswith(("weight", "weight_v")):
        gain = next(value for pattern, value in gains if re.search(pattern, name))
        values = z * (gain / np.sqrt(float(np.prod(shape[1:]))))
    else:
        raise ValueError(f"no rule for {name} {shape}")
    return np.asarray(values, np.float32)


def make_state_dict(name: str, seed: str = "") -> dict[str, np.ndarray]:
    """State dict of `name`, as listed in state_dicts/; another `seed` gives other values."""
    family = next((prefix for prefix in ("ultrais", "vgg19") if name.startswith(prefix)), "released")
    gains = GAINS["ultrais" if name.startswith("hrnet") else family]
    out = {}
    for tensor, shape in read_spec(name):
        source = tensor
        for pattern, replacement in SAME:
            source = re.sub(pattern, replacement, source)
        out[tensor] = make_tensor(source, shape, gains, seed)
    return out
