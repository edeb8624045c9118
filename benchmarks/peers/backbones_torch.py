"""VGG and HRNet as frozen feature extractors in PyTorch, with our variables; see ultrabm_jax/backbones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.peers.weights_torch import torch_weights

CONVS_PER_LEVEL = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BLOCKS, MODULES = 4, {2: 1, 3: 4, 4: 3}


def imagenet_normalise(x: torch.Tensor) -> torch.Tensor:
    """(b, 3, h, w) in [0, 1] -> normalised by ImageNet's statistics."""
    mean, std = (torch.tensor(values).to(x)[:, None, None] for values in (MEAN, STD))
    return (x - mean) / std


class VGGPeer:
    """(b, 3, h, w), normalised -> {layer: features before the ReLU}, up to and including `upto`."""

    def __init__(self, weights: Mapping[str, np.ndarray], *, depth: int, device: str = "cpu", dtype: str = "float32"):
        self.weights, self.levels = torch_weights(weights, device=device, dtype=dtype), CONVS_PER_LEVEL[depth]

    def __call__(self, x: torch.Tensor, *, upto: str | None = None) -> dict[str, torch.Tensor]:
        features: dict[str, torch.Tensor] = {}
        x = x.contiguous(memory_format=torch.channels_last)
        for level, count in enumerate(self.levels, start=1):
            for i in range(1, count + 1):
                name = f"conv{level}_{i}"
                if features:
                    x = F.relu(x)
                if i == 1 and features:
                    x = F.max_pool2d(x, 2)
                x = F.conv2d(x, self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"], padding=1)
                features[name] = x
                if name == upto:
                    return features
        return features


class HRNetPeer:
    """(b, 3, h, w) in [0, 1] -> ([maps at 1/4, 1/8, 1/16, 1/32], class scores (b, classes, h, w))."""

    def __init__(self, variables: Mapping[str, np.ndarray], *, device: str = "cpu", dtype: str = "float32"):
        self.weights = torch_weights(variables, device=device, dtype=dtype)

    def __call__(self, image: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        x = image.contiguous(memory_format=torch.channels_last)
        for i in (1, 2):
            x = F.relu(self.norm(self.conv(x, f"conv{i}", stride=2), f"bn{i}"))
        for block in range(BLOCKS):
            x = self.bottleneck(x, f"layer1_{block}")
        maps = [x]
        for stage, modules in MODULES.items():
            name, coarsest = f"transition{stage - 1}", maps[-1]
            if stage == 2:
                maps = [F.relu(self.layer(coarsest, f"{name}_0"))]
            maps = [*maps, F.relu(self.layer(coarsest, f"{name}_{stage - 1}_0", stride=2))]
            for module in range(modules):
                maps = self.exchange(maps, f"stage{stage}_{module}")
        size = maps[0].shape[2:]
        x = torch.cat([maps[0], *(_resize(m, size) for m in maps[1:])], 1)
        x = F.relu(self.norm(self.conv(x, "last_layer_0"), "last_layer_1"))
        return maps, _resize(self.conv(x, "last_layer_3"), image.shape[2:])

    def bottleneck(self, x: torch.Tensor, name: str) -> torch.Tensor:
        y = F.relu(self.norm(self.conv(x, f"{name}/conv1"), f"{name}/bn1"))
        y = F.relu(self.norm(self.conv(y, f"{name}/conv2"), f"{name}/bn2"))
        y = self.norm(self.conv(y, f"{name}/conv3"), f"{name}/bn3")
        projects = f"params/{name}/downsample_0/kernel" in self.weights
        return F.relu(y + (self.layer(x, f"{name}/downsample") if projects else x))

    def exchange(self, maps: list[torch.Tensor], name: str) -> list[torch.Tensor]:
        maps = list(maps)
        for i in range(len(maps)):
            for block in range(BLOCKS):
                inner = f"{name}/branches_{i}_{block}"
                y = F.relu(self.norm(self.conv(maps[i], f"{inner}/conv1"), f"{inner}/bn1"))
                maps[i] = F.relu(self.norm(self.conv(y, f"{inner}/conv2"), f"{inner}/bn2") + maps[i])
        return [F.relu(sum(self.resized(maps, j, i, name) for j in range(len(maps)))) for i in range(len(maps))]

    def resized(self, maps: list[torch.Tensor], source: int, target: int, name: str) -> torch.Tensor:
        x, name = maps[source], f"{name}/fuse_layers_{target}_{source}"
        if source == target:
            return x
        if source > target:
            return _resize(self.layer(x, name), maps[target].shape[2:])
        for step in range(target - source - 1):
            x = F.relu(self.layer(x, f"{name}_{step}", stride=2))
        return self.layer(x, f"{name}_{target - source - 1}", stride=2)

    def layer(self, x: torch.Tensor, name: str, *, stride: int = 1) -> torch.Tensor:
        """Sequential(convolution, normalisation)."""
        return self.norm(self.conv(x, f"{name}_0", stride=stride), f"{name}_1")

    def conv(self, x: torch.Tensor, name: str, *, stride: int = 1) -> torch.Tensor:
        kernel, bias = self.weights[f"params/{name}/kernel"], self.weights.get(f"params/{name}/bias")
        return F.conv2d(x, kernel, bias, stride=stride, padding=kernel.shape[-1] // 2)

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        scale, bias = (self.weights[f"params/{name}/{part}"] for part in ("scale", "bias"))
        mean, var = (self.weights[f"batch_stats/{name}/{part}"] for part in ("mean", "var"))
        return F.batch_norm(x, mean, var, scale, bias, eps=1e-5)


def _resize(x: torch.Tensor, size) -> torch.Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
