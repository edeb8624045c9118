"""Training losses in PyTorch, each the mean over the batch; written from the definitions in ultrabm_jax/losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.peers.backbones_torch import MEAN, STD, VGGPeer, imagenet_normalise

VGG16_WEIGHTS = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_3": 1.0, "conv4_3": 1.0, "conv5_3": 1.0}
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
TANGENT_FROM = 10.0


def l1(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference."""
    return (a - b).abs().mean()


def charbonnier(a: torch.Tensor, b: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Mean of sqrt((a - b)^2 + epsilon^2) of each example, (b,)."""
    return ((a - b) ** 2 + epsilon**2).sqrt().mean((1, 2, 3))


def luminance(v: torch.Tensor) -> torch.Tensor:
    """L_SL of UltraBM on the reflection before it is clipped, with the tangent from a distance of 10 on."""
    target = torch.tensor(MEAN).to(v) + torch.tensor(STD).to(v)
    distance = (v.mean((2, 3)) - target).abs()
    inner = distance.clamp(max=TANGENT_FROM)
    return (torch.expm1(inner) + inner.exp() * (distance - inner)).sum(1).mean()


def smoothness(u: torch.Tensor, gray: torch.Tensor) -> torch.Tensor:
    """L_IS of UltraBM: smooth L1."""
    return F.smooth_l1_loss(u, gray)


def perceptual(vgg: VGGPeer, restored: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """L_P on VGG-16."""
    ours = vgg(imagenet_normalise(restored))
    with torch.no_grad():
        theirs = vgg(imagenet_normalise(reference))
    return sum(weight * l1(ours[name], theirs[name]) for name, weight in VGG16_WEIGHTS.items())


def ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """SSIM of each example, (b,)."""
    return _similarities(a, b)[0].mean(1)


def ms_ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """MS-SSIM over five scales of each example, (b,), as pytorch-msssim with even sides."""
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS, start=1):
        similarity, contrast = _similarities(a, b)
        term = similarity if scale == len(SCALE_WEIGHTS) else contrast
        product = product * F.relu(term) ** weight
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return product.mean(1)


def _similarities(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(similarity, its contrast-structure factor), means over all windows, (b, c) each."""
    offsets = torch.arange(WINDOW, dtype=torch.float32) - WINDOW // 2
    taps = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    taps = (taps / taps.sum()).to(a).expand(a.shape[1], 1, WINDOW)

    def blur(x: torch.Tensor) -> torch.Tensor:
        x = F.conv2d(x, taps[..., None], groups=x.shape[1])
        return F.conv2d(x, taps[:, :, None], groups=x.shape[1])

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, ab = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    contrast = (2 * ab + K2**2) / (var_a + var_b + K2**2)
    similarity = contrast * (2 * mean_a * mean_b + K1**2) / (mean_a**2 + mean_b**2 + K1**2)
    return similarity.mean((2, 3)), contrast.mean((2, 3))
