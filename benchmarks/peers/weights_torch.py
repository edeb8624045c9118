"""Our parameters as PyTorch tensors: what the peers of DRGN, UltraBM and their backbones share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

Weights = dict[str, torch.Tensor]


def torch_weights(
    weights: Mapping[str, np.ndarray],
    *,
    device: str = "cpu",
    dtype: str = "float32",
    is_transposed: Callable[[str], bool] = lambda name: False,
) -> Weights:
    """{"unet/conv_in/kernel": (k, k, in, out)} -> tensors in PyTorch's order (out, in, k, k), channels last.

    Kernels of transposed convolutions, of which `is_transposed(name)` is true, become (in, out, k, k).
    """
    kind = {"device": torch.device(device), "dtype": getattr(torch, dtype)}
    made = {}
    for name, value in weights.items():
        if value.ndim == 4:
            value = value.transpose((2, 3, 0, 1) if is_transposed(name) else (3, 2, 0, 1))
        tensor = torch.from_numpy(np.ascontiguousarray(value)).to(**kind)
        made[name] = tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
    return made


def part_of(weights: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The entries below `prefix`, whose names lose it."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
