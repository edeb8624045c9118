"""RED (variant "code") in PyTorch, written from its description, one call per layer.

Weights are the release's state dict. Weight normalisation is folded into the kernels, once, or for training in every
call. Channels last.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F

Weights = dict[str, torch.Tensor]


class RedPeer:
    """`peer(mosaic)`: (b, 1, h, w), amplified, sides multiples of 32 -> (b, 3, h, w) in [0, 1]."""

    def __init__(
        self,
        state_dict: Mapping[str, np.ndarray],
        *,
        folded: bool = True,
        device: str = "cpu",
        dtype: str = "float32",
    ):
        kind = {"device": torch.device(device), "dtype": getattr(torch, dtype)}
        self.trained = {name: torch.from_numpy(np.array(value)) for name, value in state_dict.items()}
        self.folded = folded
        self.weights = {name: value.to(**kind) for name, value in _fold(self.trained).items()}

    @torch.inference_mode()
    def __call__(self, mosaic: torch.Tensor) -> torch.Tensor:
        return self.forward(mosaic)

    def forward(self, mosaic: torch.Tensor) -> torch.Tensor:
        if not self.folded:
            self.weights = _fold(self.trained)
        x2 = F.pixel_unshuffle(mosaic, 2)
        fused = self.fb1(self.mse(x2), self.hse(x2))
        return self.fb2(self.lse(x2), fused)

    def lse(self, x2: torch.Tensor) -> torch.Tensor:
        return self._conv(_last(x2), "conv2x.0")

    def mse(self, x2: torch.Tensor) -> torch.Tensor:
        x = _last(F.pixel_unshuffle(x2, 4))
        return x + self._conv(F.leaky_relu(self._conv(x, "resblock8x.conv1.0"), 0.2), "resblock8x.conv2.0")

    def hse(self, x2: torch.Tensor) -> torch.Tensor:
        x = self._conv(_last(F.pixel_unshuffle(x2, 16)), "conv32x.0.0", groups=128)
        x = skip = self._conv(x, "conv32x.1.0")
        outputs = []
        for name, layers in (("RDB1", 4), ("RDB2", 5), ("RDB3", 5)):
            x = self._dense_block(x, name, layers)
            outputs.append(x)
        x = self._conv(torch.cat(outputs, 1), "rdball.0") + skip
        return self._conv(_last(F.pixel_shuffle(x, 4)), "conv_rdb8x.0")

    def fb1(self, mse: torch.Tensor, hse: torch.Tensor) -> torch.Tensor:
        x = _last(torch.stack([mse, hse], 2).flatten(1, 2))
        x = self._conv(x, "conv32_8_cat.0.0", groups=4)
        return _last(F.pixel_shuffle(F.leaky_relu(self._conv(x, "conv32_8_cat.1.0"), 0.2), 4))

    def fb2(self, lse: torch.Tensor, fb1: torch.Tensor) -> torch.Tensor:
        return F.pixel_shuffle(self._conv(torch.cat([lse, fb1], 1), "conv_2_8_32.0"), 2).clamp(0, 1)

    def _dense_block(self, x: torch.Tensor, name: str, layers: int) -> torch.Tensor:
        features = [x]
        for j in range(layers):
            seen = torch.cat(features, 1)
            if 0 < j < layers - 1:
                seen = F.leaky_relu(seen, 0.2)
            features.append(self._conv(seen, f"{name}.dense_layers.{j}.conv.{min(j, 1)}"))
        return self._conv(torch.cat(features, 1), f"{name}.conv_1x1.0") + x

    def _conv(self, x: torch.Tensor, name: str, *, groups: int = 1) -> torch.Tensor:
        kernel = self.weights[f"{name}.weight"]
        return F.conv2d(x, kernel, self.weights.get(f"{name}.bias"), padding=kernel.shape[-1] // 2, groups=groups)


def _last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _fold(state_dict: Weights) -> Weights:
    folded = {}
    for name, value in state_dict.items():
        if name.endswith(".weight_v"):
            g = state_dict[name.removesuffix("_v") + "_g"]
            folded[name.removesuffix("_v")] = g * value / value.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        elif not name.endswith(".weight_g"):
            folded[name] = value
    return {name: _last(value) if value.ndim == 4 else value for name, value in folded.items()}
