"""The devices of a run: whether JAX uses the requested platform, and XLA options that overlap communication.

Without a working plugin JAX computes on the CPU with a warning at most, so a run on a cluster could lose days.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import jax

from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger

ACCELERATOR_FILES = ("nvidia0", "kfd", "accel0")  # in /dev: NVIDIA, AMD, TPU
COMBINED = 128 * 2**20  # bytes; larger than the gradients of every network here, which then are one all-reduce

# platform -> (variable, options): start collectives early, behind computation, and combine small ones.
# GPU: docs.jax.dev/en/latest/gpu_performance_tips.html; TPU: the options of MaxText's training scripts.
OVERLAP: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "gpu": (
        "XLA_FLAGS",
        (
            "--xla_gpu_enable_latency_hiding_scheduler=true",
            f"--xla_gpu_all_reduce_combine_threshold_bytes={COMBINED}",
            f"--xla_gpu_all_gather_combine_threshold_bytes={COMBINED}",
            f"--xla_gpu_reduce_scatter_combine_threshold_bytes={COMBINED}",
        ),
    ),
    "tpu": (
        "LIBTPU_INIT_ARGS",
        (
            "--xla_tpu_enable_data_parallel_all_reduce_opt=true",
            "--xla_tpu_data_parallel_opt_different_sized_ops=true",
            "--xla_tpu_enable_async_collective_fusion=true",
            "--xla_tpu_enable_async_collective_fusion_fuse_all_gather=true",
            "--xla_tpu_enable_async_collective_fusion_multiple_steps=true",
            "--xla_tpu_overlap_compute_collective_tc=true",
            "--xla_enable_async_all_gather=true",
        ),
    ),
}


def set_overlap_options(platform: str) -> None:
    """Adds OVERLAP's options to the environment and logs them; call it before JAX initialises its devices.

    Options that the environment has already take precedence. Raises UserError for a platform without options.
    """
    if platform not in OVERLAP:
        raise UserError(f"--overlap needs --platform={' or '.join(OVERLAP)}")
    variable, options = OVERLAP[platform]
    given = os.environ.get(variable, "").split()
    names = {option.partition("=")[0] for option in given}
    added = [option for option in options if option.partition("=")[0] not in names]
    os.environ[variable] = " ".join([*added, *given])
    logger.info("%s=%s", variable, os.environ[variable])


def check_platform(asked: str) -> None:
    """Raises UserError unless JAX computes on the platform `asked`; "": warns if JAX leaves an accelerator unused."""
    used = jax.default_backend()
    if asked and used != asked:
        raise UserError(
            f'--platform={asked}, but JAX computes on {used}: install JAX for {asked} (pip install "jax[cuda13]" or '
            '"jax[tpu]", in the range of requirements/base.txt) and check its driver, or leave --platform out'
        )
    if not asked and used == "cpu" and not os.environ.get("JAX_PLATFORMS") and (found := find_accelerator()):
        logger.warning(
            "this machine has %s, but JAX computes on the CPU; --platform=gpu or tpu makes this an error, and "
            "--platform=cpu is silent",
            found,
        )


def find_accelerator(folder: Path = Path("/dev")) -> str:
    """The file of an accelerator in `folder`; "" if there is none."""
    return next((str(folder / name) for name in ACCELERATOR_FILES if (folder / name).exists()), "")


def describe_devices() -> str:
    """For the first line of a log: number, name and platform of the devices, processes, version of JAX."""
    device, processes = jax.devices()[0], jax.process_count()
    several = f", {processes} processes" if processes > 1 else ""
    return f"{jax.device_count()} x {device.device_kind} ({device.platform}){several}; jax {jax.__version__}"
