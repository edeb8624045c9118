"""Training steps of UltraBM, LW-DRGN and RED in PyTorch eager, with our weights, losses and optimiser.

A step computes the outputs, the weighted losses, the gradients, clips them by their global norm and updates the
parameters by Adam or AdamW (PyTorch's fused implementation). No augmentation, no moving average of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from benchmarks.peers import losses_torch as losses
from benchmarks.peers.backbones_torch import VGGPeer
from benchmarks.peers.drgn_torch import DrgnPeer
from benchmarks.peers.red_torch import RedPeer
from benchmarks.peers.ultrabm_torch import UltraBMPeer, gray
from benchmarks.peers.weights_torch import part_of

Terms = dict[str, torch.Tensor]


class TrainingPeer:
    """`peer()` does one step and returns its losses before the update, {"total": ..., "grad_norm": ..., ...}.

    Arrays of `case`: "params/...", "frozen/...", "release/..." (RED), "batch/low" and so on. `settings`: the model's
    options, the weights of the losses and the optimiser.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], settings: Mapping) -> None:
        make = {"ultrabm": _ultrabm, "lw_drgn": _refinement, "drgn": _refinement, "red": _red}[settings["model"]]
        self.batch = {
            name: torch.from_numpy(value.transpose(0, 3, 1, 2).copy()).contiguous(memory_format=torch.channels_last)
            for name, value in part_of(arrays, "batch/").items()
        }
        self.trained, self.terms = make(arrays, settings)
        for tensor in self.trained:
            tensor.requires_grad_()
        train = settings["train"]
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[train["optimizer"]]
        decay = {"weight_decay": train["weight_decay"]} if train["optimizer"] == "adamw" else {}
        self.optimizer = kind(self.trained, lr=train["learning_rate"], betas=tuple(train["betas"]), fused=True, **decay)
        self.max_norm, self.weights = train["grad_clip"], settings["loss"]

    def __call__(self) -> dict[str, float]:
        self.optimizer.zero_grad(set_to_none=True)
        terms = self.terms(self.batch)
        total = sum(self.weights[f"lambda_{name}"] * value for name, value in terms.items())
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.trained, self.max_norm or float("inf"))
        self.optimizer.step()
        return {"total": total.item(), "grad_norm": norm.item(), **{name: t.item() for name, t in terms.items()}}


Made = tuple[list[torch.Tensor], Callable[[dict[str, torch.Tensor]], Terms]]  # (trained tensors, batch -> losses)


def _ultrabm(arrays: Mapping[str, np.ndarray], settings: Mapping) -> Made:
    frozen = part_of(arrays, "frozen/model/semantic/")
    peer = UltraBMPeer(part_of(arrays, "params/"), settings["options"], frozen=frozen)
    vgg = None
    if settings["loss"]["lambda_p"]:
        vgg = VGGPeer(part_of(arrays, "frozen/perceptual/params/"), depth=16)

    def terms(batch: dict[str, torch.Tensor]) -> Terms:
        out = peer.outputs(batch["low"])
        found = {
            "sl": losses.luminance(out["reflection_unclipped"]),
            "is": losses.smoothness(out["illumination"], gray(batch["low"], settings["options"]["gray_mode"])),
            "r": losses.l1(out["restored"], batch["reference"]),
        }
        return found | ({"p": losses.perceptual(vgg, out["restored"], batch["reference"])} if vgg else {})

    return list(peer.weights.values()), terms


def _refinement(arrays: Mapping[str, np.ndarray], settings: Mapping) -> Made:
    """DRGN's phase 2: DeG makes a synthetic dark image without gradients, ReG restores the real and the synthetic."""
    peer = DrgnPeer(settings["model"], part_of(arrays, "params/"))
    epsilon = settings["loss"]["epsilon"]

    def terms(batch: dict[str, torch.Tensor]) -> Terms:
        photo = batch["reference"].roll(1, 0)
        with torch.no_grad():
            degradation = peer.deg(batch["low"])
            low_ref = (degradation + photo).clamp(0, 1)
            base = torch.cat([batch["low"] - degradation, low_ref - peer.deg(low_ref)])
        restored, target = peer.reg(base), torch.cat([batch["reference"], photo])
        con = losses.charbonnier(restored, target, epsilon).reshape(2, -1).mean(1)
        ssim = losses.ssim(restored, target).reshape(2, -1).mean(1)
        return {"con": con[0], "con_ref": con[1], "ssim": ssim[0], "ssim_ref": ssim[1]}

    return list(peer.reg.weights.values()), terms


def _red(arrays: Mapping[str, np.ndarray], settings: Mapping) -> Made:
    """RED with weight normalisation, which is folded in every step."""
    peer = RedPeer(part_of(arrays, "release/"), folded=False)

    def terms(batch: dict[str, torch.Tensor]) -> Terms:
        restored = peer.forward(batch["low"])
        found = {"r": losses.l1(restored, batch["reference"])}
        return found | {"ms": 1 - losses.ms_ssim(restored, batch["reference"]).mean()}

    return list(peer.trained.values()), terms
