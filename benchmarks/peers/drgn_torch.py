"""The peer of drgn_speed.py: DRGN and LW-DRGN in PyTorch, written from their description, one call per layer.

No code of DRGN was released. Weights are our parameters, {"deg/stem1/kernel": array, ...}, with kernels transposed to
PyTorch's order. Channels last. The image's sides are multiples of 4.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.peers.weights_torch import part_of, torch_weights

GROUPS, DEPTHS = (2, 3, 4), (3, 3, 3)  # of DRGN's RCABs, by level
LIGHT_GROUPS, LIGHT_DEPTH = 2, 3
SIGMA, TAPS = 1.6, 13  # of the Gaussian pyramid


class DrgnPeer:
    """`peer(low)`: (b, 3, h, w) in [0, 1] -> restored (b, 3, h, w), not bounded."""

    def __init__(self, name: str, weights: Mapping[str, np.ndarray], *, device: str = "cpu", dtype: str = "float32"):
        generator = {"drgn": _Mfn, "lw_drgn": _Light}[name]
        kind = {"device": device, "dtype": dtype, "is_transposed": lambda name: name.startswith("up")}
        self.deg, self.reg = (generator(torch_weights(part_of(weights, f"{part}/"), **kind)) for part in ("deg", "reg"))

    @torch.inference_mode()
    def __call__(self, low: torch.Tensor) -> torch.Tensor:
        return self.forward(low)

    def forward(self, low: torch.Tensor) -> torch.Tensor:
        low = low.contiguous(memory_format=torch.channels_last)
        return self.reg(low - self.deg(low))


class _Generator:
    """Layers by name."""

    def __init__(self, weights: dict[str, torch.Tensor]):
        self.weights = weights

    def conv(self, x: torch.Tensor, name: str, *, stride: int = 1) -> torch.Tensor:
        kernel = self.weights[f"{name}/kernel"]
        return F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    def deconv(self, x: torch.Tensor, name: str) -> torch.Tensor:
        kernel = self.weights[f"{name}/kernel"]
        # Twice the size exactly: kernel 3 needs a further row and column, kernel 4 has them.
        return F.conv_transpose2d(x, kernel, stride=2, padding=1, output_padding=4 - kernel.shape[-1])

    def act(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.prelu(x, self.weights[f"{name}/slope"])

    def attention(self, x: torch.Tensor, name: str) -> torch.Tensor:
        z = self.conv(x.mean(dim=(2, 3), keepdim=True), f"{name}/squeeze")
        z = self.conv(self.act(z, f"{name}/act"), f"{name}/excite")
        return x * torch.sigmoid(z)

    def rcab(self, x: torch.Tensor, name: str) -> torch.Tensor:
        y = self.conv(self.act(self.conv(x, f"{name}/conv1"), f"{name}/act"), f"{name}/conv2")
        return x + self.attention(y, f"{name}/attention")


class _Mfn(_Generator):
    """DRGN's generator."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        f = self.act(self.conv(x, "ini1"), "ini1_act")
        y, finer = self._groups(f, 1), f
        for level in (2, 3):
            f = self.act(self.conv(_sampled(x, 2 ** (level - 1)), f"ini{level}"), f"ini{level}_act")
            down = self.act(self.conv(finer, f"down{level}", stride=2), f"down{level}_act")
            finer = self.act(self.conv(torch.cat([f, down], 1), f"msr{level}"), f"msr{level}_act")
            up = self._groups(finer, level)
            for step in range(1, level):
                up = self.act(self.deconv(up, f"up{level}_{step}"), f"up{level}_{step}_act")
            y = self.conv(torch.cat([y, up], 1), f"fuse{level}")
        return self.conv(y, "last")

    def _groups(self, f: torch.Tensor, level: int) -> torch.Tensor:
        y = f
        for group in range(1, GROUPS[level - 1] + 1):
            start = y
            for block in range(1, DEPTHS[level - 1] + 1):
                y = self.rcab(y, f"level{level}_group{group}_rcab{block}")
            y = y + start
        return self.conv(torch.cat([y, f], 1), f"long{level}")


class _Light(_Generator):
    """LW-DRGN's."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        a = self.act(self.conv(x, "stem1"), "stem1_act")
        a = self.act(self.conv(a, "stem2"), "stem2_act")
        y = self.act(self.conv(a, "down", stride=2), "down_act")
        stages = [y]
        for group in range(1, LIGHT_GROUPS + 1):
            for block in range(1, LIGHT_DEPTH + 1):
                y = self.rcab(y, f"group{group}_rcab{block}")
            stages.append(y)
            y = self.conv(self.attention(torch.cat(stages, 1), f"fuse{group}_attention"), f"fuse{group}")
        y = self.act(self.deconv(y, "up"), "up_act")
        return self.conv(self.conv(torch.cat([y, a], 1), "merge"), "last")


def _sampled(x: torch.Tensor, factor: int) -> torch.Tensor:
    """Blurred, then every `factor`-th pixel."""
    taps = torch.exp(-((torch.arange(TAPS, dtype=torch.float64) - TAPS // 2) ** 2) / (2 * SIGMA**2))
    taps = (taps / taps.sum()).to(x).expand(x.shape[1], 1, -1)
    x = F.pad(x, (TAPS // 2,) * 4, mode="reflect")
    x = F.conv2d(x, taps[..., None], stride=(factor, 1), groups=x.shape[1])
    return F.conv2d(x, taps[:, :, None], stride=(1, factor), groups=x.shape[1])
