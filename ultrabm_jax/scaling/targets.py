"""Targets of ahead-of-time compilation: devices that may be absent.

tpu:v5e:16x16    a topology of TPU chips        libtpu (extra aot-tpu)
gpu:h100:8       NVIDIA GPUs of one host        JAX's CUDA plugin (extra aot-gpu); no driver is needed
cpu:8            virtual CPU devices            nothing
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
from jax.experimental import topologies

from ultrabm_jax.errors import UserError
from ultrabm_jax.extras import missing_extra
from ultrabm_jax.scaling.chips import CHIPS, Chip
from ultrabm_jax.scaling.gpu_description import H100

_TARGET = re.compile(r"(?:(tpu):(v5e|v5p):([1-9]\d*(?:x[1-9]\d*)+)|(gpu):(h100):([1-9]\d*)|(cpu):([1-9]\d*))")
_CHIP_NAMES = {"v5e": "TPU v5e", "v5p": "TPU v5p", "h100": "H100"}


@dataclasses.dataclass(frozen=True)
class Target:
    """Devices to compile for. `size` is a topology such as "16x16" for a TPU and a number of devices otherwise."""

    platform: str  # "tpu", "gpu" or "cpu"
    model: str  # a key of _CHIP_NAMES; "" for a CPU
    size: str

    @property
    def chip(self) -> Chip | None:
        """The published numbers of the chip; None for a CPU."""
        return CHIPS[self.chip_name] if self.model else None

    @property
    def chip_name(self) -> str:
        """The chip's key in CHIPS; "CPU" for a CPU."""
        return _CHIP_NAMES[self.model] if self.model else "CPU"

    def missing(self) -> str | None:
        """Why this machine cannot compile for the target; None if it can."""
        if self.platform == "tpu" and not _tpu_library():
            return missing_extra("libtpu", "compiling for a TPU")
        if self.platform == "gpu" and not _has_cuda_plugin():
            return missing_extra("jax_plugins.xla_cuda13", "compiling for a GPU")
        return None

    def environment(self) -> Mapping[str, str]:
        """Variables that a process needs before it imports JAX. Raises UserError if a package is missing."""
        if reason := self.missing():
            raise UserError(reason)
        if self.platform == "tpu":
            return {
                "JAX_PLATFORMS": "cpu",
                "TPU_SKIP_MDS_QUERY": "1",
                "TPU_LIBRARY_PATH": _tpu_library(),
                "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # no TPU is used, so the lock that reserves it is not needed
            }
        if self.platform == "gpu":  # the plugin's own check of versions needs a driver
            return {"JAX_PLATFORMS": "cpu,cuda", "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1"}
        return {"JAX_PLATFORMS": "cpu"}

    def devices(self) -> Sequence[jax.Device]:
        """The devices; the process must have been started with `environment`."""
        if self.platform == "tpu":
            return topologies.get_topology_desc(platform="tpu", topology_name=f"{self.model}:{self.size}").devices
        if self.platform == "gpu":
            topology = f"1x1x{self.size}"
            return topologies.get_topology_desc(
                "NVIDIA H100 80GB HBM3", "cuda", target_config=H100, topology=topology
            ).devices
        return jax.devices("cpu")[: int(self.size)]


def parse_target(text: str) -> Target:
    """Raises UserError unless `text` has one of the forms above."""
    if not (match := _TARGET.fullmatch(text)):
        raise UserError(f"target {text!r} is not of the form tpu:v5e:16x16, tpu:v5p:4x4x4, gpu:h100:8 or cpu:8")
    parts = [part for part in match.groups() if part]
    return Target(parts[0], parts[1] if len(parts) == 3 else "", parts[-1])


def _tpu_library() -> str:
    """The path of libtpu; "" if it is not installed."""
    if path := os.environ.get("TPU_LIBRARY_PATH"):
        return path
    spec = importlib.util.find_spec("libtpu")
    return str(Path(spec.origin).parent / "libtpu.so") if spec and spec.origin else ""


def _has_cuda_plugin() -> bool:
    try:
        return importlib.util.find_spec("jax_plugins.xla_cuda13") is not None
    except ModuleNotFoundError:  # of the parent package
        return False
