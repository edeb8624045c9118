"""What XLA's GPU compiler needs to know of a device that is absent, as the text of its GpuTargetConfigProto."""

from __future__ import annotations

from collections.abc import Mapping

_H100_SXM: Mapping[str, int | float] = {
    "core_count": 132,
    "fpus_per_core": 128,
    "clock_rate_ghz": 1.98,
    "threads_per_warp": 32,
    "threads_per_block_limit": 1024,
    "threads_per_core_limit": 2048,
    "block_dim_limit_x": 2**31 - 1,
    "block_dim_limit_y": 2**16 - 1,
    "block_dim_limit_z": 2**16 - 1,
    "registers_per_block_limit": 65536,
    "registers_per_core_limit": 65536,
    "shared_memory_per_block": 49152,
    "shared_memory_per_block_optin": 232448,
    "shared_memory_per_core": 233472,
    "l2_cache_size": 50 * 2**20,
    "memory_bandwidth": 3_350_000_000_000,
    "device_memory_size": 84_978_434_048,
}


def _text(device: Mapping[str, int | float], *, name: str, capability: str, dnn: str, runtime: str) -> str:
    fields = " ".join(f"{field}: {value}" for field, value in device.items())
    return (
        f"gpu_device_info {{ {fields} cuda_compute_capability {{ {capability} }} }} "
        f'platform_name: "CUDA" device_description_str: "{name}" '
        f"dnn_version_info {{ {dnn} }} runtime_version {{ {runtime} }}"
    )


H100 = _text(
    _H100_SXM,
    name="NVIDIA H100 80GB HBM3",
    capability="major: 9 feature_extension: ACCELERATED_FEATURES",
    dnn="major: 9 minor: 12",
    runtime="major: 13",
)
