"""Sections of every run besides model, loss and data: training, evaluation, checkpoints, devices, processes."""

from __future__ import annotations

from ml_collections import ConfigDict


def train() -> ConfigDict:
    """config.train: steps, optimiser, schedule, and what happens to non-finite steps."""
    return ConfigDict(
        {
            "steps": 150_000,
            "init_from": "",  # workdir, weight file or pretrained model with the parameters that a new run starts from
            # Progressive stages: (share of the steps, batch, patch). Batch and patch are relative to the first stage,
            # whose true values are data.batch_size and data.patch_size. Empty: one stage.
            "stages": (),
            "learning_rate": 2e-4,
            # Cosine cycles: (share of the steps, final learning rate); each starts at learning_rate.
            "cycles": ((46, 3e-4), (104, 1e-6)),
            "warmup": 0,  # steps over which the rate rises linearly; not in the paper
            "optimizer": "adamw",  # adamw (released code) | adam_l2 (the paper: decay in the gradient) | adam: none
            "weight_decay": 1e-4,
            "betas": (0.9, 0.999),
            "grad_clip": 0.01,  # global norm; 0: off
            "accumulate": 1,  # microbatches per step (gradient accumulation): less memory, the same step
            "max_nonfinite_steps": 10,  # consecutive steps with a non-finite loss or gradient before on_nonfinite
            # applies; until then such steps are skipped
            "on_nonfinite": "stop",  # stop | rollback (to the checkpoint before them, with a smaller learning rate)
            "rollback_factor": 0.5,  # multiplies the learning rate at each rollback
            "max_rollbacks": 3,  # before the run stops
            "mixup_probability": 0.5,
            "mixup_alpha": 1.2,  # Beta(alpha, alpha)
            "ema_decay": 0.0,  # 0: no moving average of the parameters; at step t at most (1 + t) / (10 + t)
        }
    )


def evaluation() -> ConfigDict:
    """config.eval: evaluation during training and by eval.py."""
    return ConfigDict(
        {
            "every": 3000,  # steps between evaluations during training
            "count": 0,  # images per evaluation during training; 0: all
            "panels": 2,  # low / restored / reference panels written to TensorBoard
            "best": "psnr_rgb",  # the protocol that chooses the best checkpoint
            "protocols": ("psnr_rgb", "ssim_rgb", "rmse", "delta_e", "chroma_ratio", "lpips_alex"),  # of eval.py
            "blind_protocols": ("niqe_gray", "brisque", "sseq", "loe_up"),  # of eval.py, for images without references
            "foreign_scores": (),  # "NAME:lower:FILE.csv" of eval.py: scores by another program, as NAME_foreign
            "baselines": ("bicubic", "gamma=>bicubic", "equalised=>bicubic", "clahe=>bicubic"),  # see baselines.py
            "images": "model",  # that eval.py writes: model (restored/) | all (also inputs, references, baselines)
            "ensemble": False,  # also the mean over the eight flips and rotations, as MODEL+
            "amplify": ("ratio", "auto"),  # of camera raw files: ratio (of exposures) | auto | paper | mean, or KIND:m
            "speed": True,  # parameters, arithmetic and time of the model
        }
    )


def checkpoint() -> ConfigDict:
    """config.checkpoint."""
    return ConfigDict(
        {
            "every": 1000,  # steps between checkpoints
            "keep": 2,  # newest checkpoints kept, in addition to the best one
            "max_failed": 3,  # consecutive checkpoints that cannot be written (a full disk) before the run ends
        }
    )


def mesh() -> ConfigDict:
    """config.mesh: the device mesh and the sharding of parameters."""
    return ConfigDict(
        {
            "data": -1,  # devices that split the batch; -1: all remaining devices
            "fsdp": 1,  # devices that split the batch and each large parameter
            "spatial": 1,  # devices that split the image height
            "min_sharded_size": 2**14,  # elements; smaller parameters are replicated on every device
        }
    )


def distributed() -> ConfigDict:
    """config.distributed: the processes of a run on several hosts."""
    return ConfigDict(
        {
            "coordinator": "",  # HOST:PORT of the first process | auto (SLURM, Open MPI, Cloud TPU) | "": see
            # ultrabm_jax/training/distributed.py
            "processes": -1,  # number of processes; with HOST:PORT
            "process": -1,  # index of this process, from 0; with HOST:PORT
        }
    )
