"""The commands of `python -m ultrabm_jax.scaling`: each prints one table."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.scaling.chips import CHIPS
from ultrabm_jax.scaling.footprint import bytes_per_device
from ultrabm_jax.scaling.predict import SHARE, all_reduce_seconds, efficiency, step_seconds

MIB = 2**20
MESHES = ((1, 1), (1, 8), (8, 8), (1, 64))  # data x fsdp
CHIP_COUNTS = (1, 8, 64, 512, 4096)
# Compiling takes half the time; what runs between devices and what memory is needed stay the same.
QUICK_XLA = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
OPTIONS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"model.dtype": "bfloat16"},
    "remat": {"model.remat": True},
    "accumulate=4": {"train.accumulate": 4},
    "accumulate=4, remat": {"train.accumulate": 4, "model.remat": True},
}


def footprint(config: ConfigDict, **_: Any) -> None:
    """MiB of the state per device."""
    rows = [
        [data * fsdp, f"{data} x {fsdp}", *(f"{size / MIB:.1f}" for size in held.values())]
        for (data, fsdp), held in zip(MESHES, bytes_per_device(config, MESHES), strict=True)
    ]
    _print(["devices", "data x fsdp", "parameters", "gradients", "state", "frozen"], rows)


def compiled(config: ConfigDict, *, argv: Sequence[str], devices: Sequence[int], here: bool, **settings: Any) -> None:
    """Collectives and memory of the step. Raises UserError if activations are gathered."""
    if here:
        print_here(config, **settings)
        return
    activations: list[str] = []

    def rows() -> Iterator[Sequence[Any]]:  # each printed as it comes
        for count in devices:
            row = _in_process([*argv, "--here"], count)
            activations.extend(row["gathered_activations"])
            yield _compiled_row(row)

    header = ["devices", "mesh", "collectives", "payload MiB", "sent MiB", "arguments MiB", "temporary MiB"]
    _print([*header, "compiling s"], rows())
    if activations:
        raise UserError(f"activations are gathered: {'; '.join(activations)}")


def _compiled_row(row: Mapping[str, Any]) -> list[Any]:
    return [
        row["devices"],
        " x ".join(map(str, row["mesh"].values())),
        ", ".join(f"{count} {kind}" for kind, count in sorted(row["collectives"].items())) or "none",
        f"{sum(row['bytes'].values()) / MIB:.2f}",
        f"{row['sent'] / MIB:.2f}",
        f"{row['arguments'] / MIB:.1f}",
        f"{row['temporary'] / MIB:.1f}",
        row["compile_seconds"],
    ]


def print_here(config: ConfigDict, *, batch: int | None, patch: int | None, phase: int, **_: Any) -> None:
    """One line of JSON on the devices of this process."""
    from ultrabm_jax.scaling.measured import measure
    from ultrabm_jax.training.sharding import make_mesh

    settings = {"per_device": batch or 1, "patch": patch or config.data.patch_size, "phase": phase}
    print(json.dumps(measure(config, make_mesh(config.mesh), **settings)))


def memory(
    config: ConfigDict, *, argv: Sequence[str], batch: int | None, patch: int | None, dry: bool, **_: Any
) -> None:
    """What a pass keeps, and the temporary memory of the step on one device, for each way to save some."""
    from ultrabm_jax.scaling.residuals import residual_bytes

    examples = batch or 8

    def rows() -> Iterator[Sequence[Any]]:
        for name, changes in OPTIONS.items():
            if any(type(_field(config, field)) is not type(value) for field, value in changes.items()):
                continue  # another model's
            if examples % changes.get("train.accumulate", 1):
                continue  # no equal parts
            changed = config.copy_and_resolve_references()
            changed.update_from_flattened_dict(changes)
            kept = residual_bytes(changed, batch=examples, patch=patch or config.data.patch_size)
            yield name, f"{kept / MIB:,.1f}", *([] if dry else compiled_with(changes))

    def compiled_with(changes: Mapping[str, Any]) -> Sequence[Any]:
        given = ["compile", *argv[1:], "--here", *(f"--config.{field}={value}" for field, value in changes.items())]
        row = _in_process([*given, "--batch", str(examples)], 1)
        return (f"{row['arguments'] / MIB:,.1f}", f"{row['temporary'] / MIB:,.1f}", row["compile_seconds"])

    header = ["option", "kept MiB"]
    _print(header if dry else [*header, "arguments MiB", "temporary MiB", "compiling s"], rows())


def _field(config: ConfigDict, name: str) -> Any:
    section, field = name.split(".")
    return config[section].get(field)


def predicted(config: ConfigDict, *, batch: int | None, patch: int | None, phase: int, **_: Any) -> None:
    """Step time and weak-scaling efficiency on chips, by predict.py."""
    from ultrabm_jax.scaling.step import flops_and_bytes

    batch, patch = batch or 8, patch or config.data.patch_size
    flops, size = flops_and_bytes(config, per_device=batch, patch=patch, phase=phase)
    print(f"{flops / 1e12:.2f} teraflop per device and step, gradients of {size / MIB:.1f} MiB; ", end="")
    print(f"{SHARE:.0%} of the peak assumed\n")
    rows = []
    for name, chip in CHIPS.items():
        for chips in CHIP_COUNTS:
            row: list[Any] = [name, chips, f"{1e3 * all_reduce_seconds(size, chip, chips=chips):.2f}"]
            for dtype in ("float32", "bfloat16"):
                case: dict[str, Any] = {"chips": chips, "dtype": dtype}
                row.append(f"{1e3 * step_seconds(flops, size, chip, **case):.1f}")
                shares = [efficiency(flops, size, chip, hidden=hidden, **case) for hidden in (0.0, 1.0)]
                row.append(" to ".join(f"{100 * share:.1f}" for share in shares))
            rows.append(row)
    _print(["chip", "chips", "all-reduce ms", "float32 ms", "efficiency %", "bfloat16 ms", "efficiency %"], rows)


def _in_process(argv: Sequence[str], devices: int) -> dict[str, Any]:
    flags = f"--xla_force_host_platform_device_count={devices} {QUICK_XLA}"
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-m", "ultrabm_jax.scaling", *argv]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise UserError(f"no program for {devices} devices; see above")
    return json.loads(done.stdout.splitlines()[-1])


def _print(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    for row in itertools.chain((header, ["---"] * len(header)), rows):
        print(f"| {' | '.join(map(str, row))} |", flush=True)
