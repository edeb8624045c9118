"""UltraBM in PyTorch, written from the paper and the description of the released network, one call per layer.

Weights are our parameters, {"illumination/unet/conv_in/kernel": array, ...}, with kernels transposed to PyTorch's
order; options are the fields of our network (models/ultrabm/network.py). The peer has the shipped structure: two
streams, the second one on v, both modulations, RSMU with the release's branches. `compat` "paper" and "ultrais" and all
semantic extractors are supported; an option for another structure is refused.

Channels last. Grouped and depthwise convolutions are PyTorch's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.peers.backbones_torch import HRNetPeer, VGGPeer, imagenet_normalise
from benchmarks.peers.weights_torch import Weights, part_of, torch_weights

Modulate = Callable[[int, torch.Tensor], torch.Tensor]  # (k, features of level k) -> features of level k
LEVELS, MULTIPLE = 5, 16
LUMA = (0.299, 0.587, 0.114)
EXPANSION = 2.66
VGG_LAYERS = ("conv5_3", "conv4_3", "conv3_3", "conv2_2", "conv1_2")
STRUCTURE = {  # fields that this graph fixes
    "stream": "dual",
    "second_stream_input": "v",
    "semantic_input": "x",
    "input_maps": False,
    "isdm": "full",
    "upsampler": "rsmu",
    "fsi": True,
    "query": "dense",
    "rsmu_branches": "scale",
    "rsmu_down": "pointwise",
}


class UltraBMPeer:
    """`peer.outputs(low)`: (b, 3, h, w) in [0, 1] -> {"restored": (b, 3, s h, s w), not bounded, and others}.

    `weights` holds the trained tensors by name, so that an optimiser can be given them; `frozen` are the variables of
    the semantic extractor, {"params/conv1_1/kernel": array, ...}.
    """

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        options: Mapping[str, object],
        *,
        frozen: Mapping[str, np.ndarray] | None = None,
        device: str = "cpu",
        dtype: str = "float32",
    ):
        other = {name: options[name] for name, value in STRUCTURE.items() if options.get(name, value) != value}
        if other:
            raise ValueError(f"this graph has no {other}")
        self.options = options
        self.weights: Weights = torch_weights(weights, device=device, dtype=dtype)
        semantic, frozen = options["semantic"], frozen or {}
        self.extractor = None
        if semantic == "vgg16":
            self.extractor = VGGPeer(part_of(frozen, "params/"), depth=16, device=device, dtype=dtype)
        elif semantic != "none":
            self.extractor = HRNetPeer(frozen, device=device, dtype=dtype)

    @torch.inference_mode()
    def __call__(self, low: torch.Tensor) -> torch.Tensor:
        return self.forward(low)

    def forward(self, low: torch.Tensor) -> torch.Tensor:
        """The restored image alone."""
        return self.outputs(low)["restored"]

    def outputs(self, low: torch.Tensor) -> dict[str, torch.Tensor]:
        """Restored image, guidance, illumination and the reflection before it is clipped."""
        h, w = low.shape[2:]
        x = F.pad(low, (0, -w % MULTIPLE, 0, -h % MULTIPLE), mode="reflect") if h % MULTIPLE or w % MULTIPLE else low
        guidance = neighbourhood_difference(x, self.options["gray_mode"])
        features, illumination = self.unet(_last(guidance), "illumination/unet")
        u = torch.sigmoid(self.conv(features, "illumination/head"))
        epsilon = self.options["epsilon"]
        unclipped = x / (u.clamp(min=epsilon) if epsilon else u)
        semantic = self.semantic_levels(x)

        def modulate(k: int, features: torch.Tensor) -> torch.Tensor:
            features = self.modulation(features, illumination[k - 1], f"reflection/imu{k}")
            return self.modulation(features, semantic[k - 1], f"reflection/smu{k}") if semantic else features

        features, _ = self.unet(_last(unclipped.clamp(0, 1)), "reflection", modulate)
        scale = self.options["scale"]
        return {
            "guidance": guidance[..., :h, :w],
            "illumination": u[..., :h, :w],
            "reflection_unclipped": unclipped[..., :h, :w],
            "restored": self.rsmu(features)[..., : scale * h, : scale * w],
        }

    def semantic_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
        """[S_1, ..., S_5] or []; no gradient reaches the image, which needs none."""
        if self.extractor is None:
            return []
        with torch.no_grad():
            if isinstance(self.extractor, VGGPeer):
                maps = self.extractor(imagenet_normalise(x))
                return [maps[name] for name in VGG_LAYERS]
            maps, logits = self.extractor(x)
            return [*reversed(maps), logits]

    def unet(
        self, x: torch.Tensor, name: str, modulate: Modulate = lambda k, x: x
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(features of the last level, features of all levels from coarse to fine)."""
        x, skips = _leaky(self.conv(x, f"{name}/conv_in")), []
        for i in range(LEVELS):
            x = self.context_unit(F.max_pool2d(x, 2) if i else x, f"{name}/encoder{i + 1}")
            skips.append(x)
        levels = [modulate(1, skips.pop())]
        for k in range(2, LEVELS + 1):
            x = torch.cat([_bilinear(levels[-1], 2), skips.pop()], 1)
            x = self.context_unit(x, f"{name}/decoder{k - 1}", decoder=True)
            levels.append(modulate(k, x))
        return self.conv(levels[-1], f"{name}/conv_out"), levels

    def context_unit(self, x: torch.Tensor, name: str, *, decoder: bool = False) -> torch.Tensor:
        b = _leaky(self.conv(x, f"{name}/conv1"))
        b = _leaky(self.conv(b, f"{name}/conv2"))
        return (b if decoder else x) + _leaky(self.context_block(b, f"{name}/context"))

    def context_block(self, x: torch.Tensor, name: str) -> torch.Tensor:
        h = _leaky(self.conv(x, f"{name}/head1", groups=2))
        h = self.conv(h, f"{name}/head2", groups=2)
        mask = torch.softmax(self.conv(h, f"{name}/mask").flatten(2), dim=-1)
        context = torch.matmul(h.flatten(2), mask.transpose(1, 2))[..., None]
        t = self.conv(_leaky(self.conv(context, f"{name}/transform1")), f"{name}/transform2")
        return x + _leaky(h + t)

    def modulation(self, features: torch.Tensor, guidance: torch.Tensor, name: str) -> torch.Tensor:
        """IMU or SMU."""
        if f"{name}/conv_guidance/kernel" in self.weights:
            guidance = self.conv(guidance, f"{name}/conv_guidance")
        if guidance.shape[2:] != features.shape[2:]:
            guidance = F.interpolate(guidance, size=features.shape[2:], mode="nearest")
        normalised = self.layer_norm(features, f"{name}/norm1")
        attended = self.attention(normalised, self.layer_norm(guidance, f"{name}/norm1"), f"{name}/attention")
        x = attended + (normalised if self.options["modulation_skip"] == "normalised" else features)
        return x + self.feed_forward(self.layer_norm(x, f"{name}/norm2"), f"{name}/ffn")

    def attention(self, features: torch.Tensor, guidance: torch.Tensor, name: str) -> torch.Tensor:
        b, c, h, w = features.shape
        q = self.conv(self.conv(guidance, f"{name}/q"), f"{name}/q_conv")
        kv = self.conv(self.conv(features, f"{name}/kv"), f"{name}/kv_conv", groups=2 * c)
        q, k, v = (x.reshape(b, self.options["heads"], -1, h * w) for x in (q, *kv.chunk(2, 1)))
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        similarity = torch.matmul(q, k.transpose(-1, -2)) * self.weights[f"{name}/temperature"][:, None, None]
        out = torch.matmul(torch.softmax(similarity, dim=-1), v).reshape(b, c, h, w)
        return self.conv(_last(out), f"{name}/project")

    def feed_forward(self, x: torch.Tensor, name: str) -> torch.Tensor:
        hidden = int(x.shape[1] * EXPANSION)
        x = self.conv(self.conv(x, f"{name}/project_in"), f"{name}/conv", groups=2 * hidden)
        a, b = x.chunk(2, 1)
        return self.conv(F.gelu(a, approximate="tanh") * b, f"{name}/project_out")

    def rsmu(self, x: torch.Tensor) -> torch.Tensor:
        final = int(math.log2(self.options["scale"]))
        branches = [self.step1(x, i) for i in range(final + 1)]
        branches = self.exchange([self.context_unit(b, f"rsmu/fsi/unit{i}") for i, b in enumerate(branches)])
        for i in range(final + 1):
            for step in range(final - i):
                enlarged = F.interpolate(branches[i], scale_factor=2, mode="bicubic", align_corners=False)
                branches[i] = _leaky(self.conv(enlarged, f"rsmu/stage3_branch{i}_{step}"))
        x = _leaky(self.conv(torch.cat(branches, 1), "rsmu/fuse"))
        rgb = self.conv(x, "rsmu/rgb")
        return _leaky(rgb) if self.options["final_act"] == "lrelu" else rgb

    def step1(self, x: torch.Tensor, branch: int) -> torch.Tensor:
        for step in range(branch):
            name = f"rsmu/stage1_branch{branch}_{step}"
            if self.options["rsmu_step1"] == "pixelshuffle":
                x = _leaky(_last(F.pixel_shuffle(self.conv(x, name), 2)))
            else:
                x = _leaky(self.conv(_bilinear(x, 2), name))
        return x

    def exchange(self, branches: list[torch.Tensor]) -> list[torch.Tensor]:
        """FSI after its context units."""
        fused = list(branches)
        for i in reversed(range(len(branches))):
            sources = fused if self.options["fsi_order"] == "sequential" else branches
            fused[i] = self.fusion([self.resized(x, j, i) for j, x in enumerate(sources)], f"rsmu/fsi/fusion{i}")
        return [self.conv(x, f"rsmu/fsi/out{i}") for i, x in enumerate(fused)]

    def resized(self, x: torch.Tensor, source: int, target: int) -> torch.Tensor:
        if target > source:
            return _bilinear(x, 2 ** (target - source))
        name = f"rsmu/fsi/down{source}to{target}"
        return self.conv(x, name, stride=2 ** (source - target)) if target < source else x

    def fusion(self, branches: list[torch.Tensor], name: str) -> torch.Tensor:
        total = sum(branches[1:], start=branches[0])
        z = _leaky(self.conv(total.mean((2, 3), keepdim=True), f"{name}/squeeze"))
        logits = torch.stack([self.conv(z, f"{name}/excite{i}") for i in range(len(branches))])
        weights = torch.softmax(logits, dim=0)
        return sum((w * x for w, x in zip(weights[1:], branches[1:], strict=True)), start=weights[0] * branches[0])

    def conv(self, x: torch.Tensor, name: str, *, stride: int = 1, groups: int = 1) -> torch.Tensor:
        kernel = self.weights[f"{name}/kernel"]
        bias = self.weights.get(f"{name}/bias")
        return F.conv2d(x, kernel, bias, stride=stride, padding=kernel.shape[-1] // 2, groups=groups)

    def layer_norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        scale, bias = self.weights[f"{name}/norm/scale"], self.weights[f"{name}/norm/bias"]
        return F.layer_norm(x.permute(0, 2, 3, 1), scale.shape, scale, bias, 1e-5).permute(0, 3, 1, 2)


def gray(x: torch.Tensor, mode: str) -> torch.Tensor:
    """(b, 3, h, w) -> (b, 1, h, w)."""
    weights = torch.tensor(LUMA).to(x)[:, None, None]
    luma = (x * weights).sum(1, keepdim=True)
    return luma if mode == "luma" else (1 - luma) / 2


def neighbourhood_difference(x: torch.Tensor, mode: str) -> torch.Tensor:
    """F_diff: (b, 3, h, w) -> (b, 2, h, w)."""
    a = gray(x, mode)
    m = torch.maximum(a, torch.cat([a[:, :, 1:], a[:, :, -1:]], 2))
    m = torch.maximum(m, torch.cat([m[..., 1:], m[..., -1:]], 3))
    p = F.pad(a, (1, 1, 1, 1))
    neighbours = (p[:, :, 2:, 1:-1], p[:, :, :-2, 1:-1], p[:, :, 1:-1, 2:], p[:, :, 1:-1, :-2])
    return torch.cat([m + sum((a - n).abs() for n in neighbours) / 4, a], 1)


def _bilinear(x: torch.Tensor, factor: int) -> torch.Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.2)


def _last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)
