"""LoLiSRFlow: sections model and loss, and its training recipe.

The paper gives the loss with its weight, the augmentation and the data. Optimiser, schedule, batch and patch are those
of LLFlow and SRFlow, its ancestors; our 100,000 steps are between their 40,000 and 200,000. Clipping the gradient at
norm 1 is ours. What the preset "paper" changes: configs/lolisrflow_rellisur_x2.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from ml_collections import ConfigDict

PRESETS: Mapping[str, Mapping[str, object]] = {
    "paper": {"model.order": "coupling_first", "model.split": True, "loss.l1_ramp": 0.0, "train.grad_clip": 0.0}
}

RATE = 5e-4


def model() -> ConfigDict:
    """config.model; sources of each option: the table in ultrabm_jax/models/lolisrflow/network.py."""
    return ConfigDict(
        {
            "name": "lolisrflow",
            "scale": 2,  # super-resolution factor: 2 or 4
            "variant": "base",  # base: width 64, 12 steps per level | small: width 16, 4 steps (for a CPU)
            "levels": 3,  # of the flow
            "split": False,  # half of the channels leave after each level but the last (SRFlow, the paper)
            "order": "injector_first",  # injector_first (LLFlow's code) | coupling_first (the paper's list)
            "cr_head": "softmax",  # softmax | sigmoid (LLFlow)
            "prior": "ratio",  # ratio: the predicted colour ratio is the mean of the latent | zero
            "dtype": "float32",  # float32 | bfloat16: compute type of the encoder; the flow is always float32
            "remat": "steps",  # none | steps | inverse: what the backward pass recomputes (flow/step_chain.py)
        }
    )


def loss() -> ConfigDict:
    """config.loss."""
    return ConfigDict(
        {
            "lambda_nll": 1.0,  # bits per pixel
            "lambda_l1": 1.5,  # restored at temperature 0; weight zero leaves out the inverse pass
            "l1_ramp": 0.02,  # share of the steps over which lambda_l1 rises from zero
            "true_ratio": 0.2,  # share of the steps whose latent has the reference's colour ratio as its mean
            "quantisation": 32,  # levels: uniform noise of 1 / 32 on the reference
            "quantisation_per": "pixel",  # pixel (LLFlow) | value: a constant of 10 bits in the reported nll
        }
    )


def sections() -> dict[str, ConfigDict]:
    """The sections of a config that belong to LoLiSRFlow."""
    return {"model": model(), "loss": loss()}


def recipe(config: ConfigDict) -> None:
    """Sets the training on RELLISUR."""
    config.data.update({"dataset": "rellisur", "batch_size": 16, "patch_size": 80, "extra_inputs": ("equalised",)})
    config.train.update(
        {
            "steps": 100_000,
            "learning_rate": RATE,
            # Halved at 50, 75, 90 and 95 % of the steps.
            "cycles": tuple((share, RATE / 2**i, RATE / 2**i) for i, share in enumerate((50, 25, 15, 5, 5))),
            "optimizer": "adam",
            "weight_decay": 0.0,
            "betas": (0.9, 0.99),
            "grad_clip": 1.0,
            "mixup_probability": 0.0,
        }
    )
    config.eval.temperatures = (0.0, 0.3, 0.7)  # of samples that eval.py measures; the first is the network's own row
