"""The peer of metrics_speed.py: metrics of one image at a time, as in typical evaluation scripts.

PSNR, SSIM and RMSE by scikit-image on uint8 arrays; MS-SSIM, LPIPS and FSIM in PyTorch (eager, inference mode), written
from their papers' descriptions. LPIPS uses the given weights; FSIM's filters are computed once per size.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from ultrabm_jax.typing import Variables

MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
STRIDES_AND_PADDINGS = {"conv1": (4, 2), "conv2": (1, 2), "conv3": (1, 1), "conv4": (1, 1), "conv5": (1, 1)}


BY_SKIMAGE: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "psnr_rgb": lambda a, b: float(peak_signal_noise_ratio(a, b, data_range=255)),
    "ssim_rgb": lambda a, b: float(
        structural_similarity(
            a, b, channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    ),
    "rmse": lambda a, b: float(np.sqrt(mean_squared_error(a, b))) / 255,
}
PROTOCOLS = (*BY_SKIMAGE, "msssim_rgb", "fsim", "lpips_alex")


class OneAtATime:
    """`metrics(restored, reference)`: two uint8 images (h, w, 3) to {protocol: value}."""

    def __init__(self, lpips_variables: Variables):
        params, heads = lpips_variables["params"], lpips_variables["heads"]
        self.kernels = {n: torch.tensor(np.transpose(params[n]["kernel"], (3, 2, 0, 1))) for n in params}
        self.biases = {n: torch.tensor(np.asarray(params[n]["bias"])) for n in params}
        self.heads = {n: torch.tensor(np.asarray(heads[n])).reshape(1, -1, 1, 1) for n in heads}

    @torch.inference_mode()
    def __call__(self, restored: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        return {name: self.measure(name, restored, reference) for name in PROTOCOLS}

    @torch.inference_mode()
    def measure(self, name: str, restored: np.ndarray, reference: np.ndarray) -> float:
        """One protocol of two uint8 images (h, w, 3)."""
        if name in BY_SKIMAGE:
            return BY_SKIMAGE[name](reference, restored)
        a, b = (torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (restored, reference))
        return {"msssim_rgb": ms_ssim, "lpips_alex": self.lpips, "fsim": fsim}[name](a, b)

    def lpips(self, a: torch.Tensor, b: torch.Tensor) -> float:
        total = 0.0
        for (name, x), (_, y) in zip(self.features(a), self.features(b), strict=True):
            x, y = (v / (v.square().sum(1, keepdim=True).sqrt() + 1e-10) for v in (x, y))
            total += float(F.conv2d((x - y).square(), self.heads[name]).mean())
        return total

    def features(self, image: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
        shift, scale = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)))
        x, found = (image / 127.5 - 1 - shift) / scale, []
        for name, (stride, padding) in STRIDES_AND_PADDINGS.items():
            if name in ("conv2", "conv3"):
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(F.conv2d(x, self.kernels[name], self.biases[name], stride, padding))
            found.append((name, x))
        return found


def ms_ssim(a: torch.Tensor, b: torch.Tensor) -> float:
    product = torch.ones(a.shape[1])
    for scale, weight in enumerate(MS_WEIGHTS):
        similarity, contrast = _ssim_terms(a, b)
        product = product * (similarity if scale == 4 else contrast).relu() ** weight
        a, b = (F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False) for x in (a, b))
    return float(product.mean())


def _ssim_terms(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean_a, mean_b, aa, bb, ab = (_blur(x) for x in (a, b, a * a, b * b, a * b))
    contrast = (2 * (ab - mean_a * mean_b) + 58.5225) / (aa - mean_a**2 + bb - mean_b**2 + 58.5225)
    luminance = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
    return (luminance * contrast).mean((0, 2, 3)), contrast.mean((0, 2, 3))


def _blur(x: torch.Tensor) -> torch.Tensor:
    taps = torch.exp(-((torch.arange(11.0) - 5) ** 2) / (2 * 1.5**2))
    taps = (taps / taps.sum()).expand(x.shape[1], 1, 11)
    return F.conv2d(F.conv2d(x, taps[..., None], groups=x.shape[1]), taps[..., None, :], groups=x.shape[1])


def fsim(a: torch.Tensor, b: torch.Tensor) -> float:
    side = max(1, round(min(a.shape[2:]) / 256))
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    a, b = ((F.avg_pool2d(x, side) * weights).sum(1, keepdim=True) for x in (a, b))
    phase_a, phase_b = phase_congruency(a[0, 0]), phase_congruency(b[0, 0])
    slope_a, slope_b = _scharr(a), _scharr(b)
    similarity = (2 * phase_a * phase_b + 0.85) / (phase_a**2 + phase_b**2 + 0.85)
    similarity = similarity * (2 * slope_a * slope_b + 160) / (slope_a**2 + slope_b**2 + 160)
    weight = torch.maximum(phase_a, phase_b)
    return float((similarity * weight).sum() / weight.sum())


def _scharr(x: torch.Tensor) -> torch.Tensor:
    kernel = torch.tensor([[3.0, 0, -3], [10, 0, -10], [3, 0, -3]]) / 16
    gradient = F.conv2d(x, torch.stack([kernel, kernel.T])[:, None], padding=1)
    return gradient.square().sum(1).sqrt()[0]


def phase_congruency(gray: torch.Tensor) -> torch.Tensor:
    """(h, w) with values 0..255."""
    filters, kernel_power, filter_power = _filters(*gray.shape)
    responses = torch.fft.ifft2(torch.fft.fft2(gray)[None, None] * filters)  # (orientations, scales, h, w)
    even, odd, size = responses.real, responses.imag, responses.abs()
    mean_even, mean_odd = even.sum(1, keepdim=True), odd.sum(1, keepdim=True)
    length = (mean_even**2 + mean_odd**2).sqrt() + 1e-4
    mean_even, mean_odd = mean_even / length, mean_odd / length
    energy = (even * mean_even + odd * mean_odd - (even * mean_odd - odd * mean_even).abs()).sum(1)
    median = size[:, 0].square().flatten(1).median(1).values
    tau = (median / np.log(2) / filter_power * kernel_power).sqrt()
    threshold = tau * (np.sqrt(np.pi / 2) + 2 * np.sqrt(2 - np.pi / 2)) / 1.7
    return (energy - threshold[:, None, None]).relu().sum(0) / size.sum((0, 1))


@functools.lru_cache(maxsize=4)
def _filters(h: int, w: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-Gabor filters, (4 orientations, 4 scales, h, w); per orientation the power of their sum and of the first."""
    axes = [torch.arange(n) - n // 2 for n in (h, w)]
    y, x = torch.meshgrid(*(k / (n - n % 2) for k, n in zip(axes, (h, w), strict=True)), indexing="ij")
    radius, angle = torch.fft.ifftshift((x**2 + y**2).sqrt()), torch.fft.ifftshift(torch.atan2(-y, x))
    radius[0, 0] = 1
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    bands = [torch.exp(-(torch.log(radius * 6 * 2**s) ** 2) / (2 * np.log(0.55) ** 2)) * low_pass for s in range(4)]
    spreads = []
    for orientation in range(4):
        turned = angle - orientation * np.pi / 4
        distance = torch.atan2(torch.sin(turned), torch.cos(turned)).abs()
        spreads.append(torch.exp(-(distance**2) / (2 * (np.pi / 4 / 1.2) ** 2)))
    filters = torch.stack(spreads)[:, None] * torch.stack(bands)
    filters[:, :, 0, 0] = 0
    kernels = torch.fft.ifft2(filters).real * np.sqrt(h * w)
    return filters, kernels.sum(1).square().sum((1, 2)), filters[:, 0].square().sum((1, 2))
