"""The commands of `python -m ultrabm_jax.scaling`: each prints one table."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.scaling.footprint import bytes_per_device
from ultrabm_jax.scaling.measured import Measurement, measure
from ultrabm_jax.scaling.residuals import residual_bytes
from ultrabm_jax.training.sharding import make_mesh

MIB = 2**20
MESHES = ((1, 1), (1, 8), (8, 8), (1, 64))  # data x fsdp
# Halves the compile time; collectives and memory stay the same.
QUICK_XLA = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
Row = Sequence[str | int | float]
VARIANTS: dict[str, dict[str, str | bool | int]] = {  # of `memory`; the first has the name of the compute type
    "": {},
    "bfloat16": {"model.dtype": "bfloat16"},
    "remat": {"model.remat": True},
    "accumulate=4": {"train.accumulate": 4},
    "accumulate=4, remat": {"train.accumulate": 4, "model.remat": True},
}


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags of the command line; see __main__.py."""

    argv: Sequence[str]
    devices: Sequence[int]
    batch: int | None  # examples on each device; None: the command's default
    patch: int  # side of the low-resolution patch
    phase: int
    here: bool
    dry: bool


def footprint(config: ConfigDict, options: Options) -> None:
    """Prints the MiB of the state per device."""
    rows: list[Row] = [
        [data * fsdp, f"{data} x {fsdp}", *(f"{size / MIB:.1f}" for size in held.values())]
        for (data, fsdp), held in zip(MESHES, bytes_per_device(config, MESHES), strict=True)
    ]
    held_columns = [f"{name} MiB" for name in ("parameters", "gradients", "state", "frozen")]
    _print(["devices", "data x fsdp", *held_columns], rows)


def compiled(config: ConfigDict, options: Options) -> None:
    """Prints collectives and memory of the step. Raises UserError if the program gathers activations."""
    if options.here:
        mesh = make_mesh(config.mesh)
        found = measure(config, mesh, per_device=options.batch or 1, patch=options.patch, phase=options.phase)
        print(json.dumps(found))
        return
    activations: list[str] = []

    def rows() -> Iterator[Row]:  # printed one by one
        for count in options.devices:
            found = _measure_in_process([*options.argv, "--here"], count)
            activations.extend(found["gathered_activations"])
            yield _compiled_row(found)

    header = ["devices", "mesh", "collectives", "payload MiB", "sent MiB", "arguments MiB", "temporary MiB"]
    _print([*header, "compiling s"], rows())
    if activations:
        raise UserError(f"the program gathers activations: {'; '.join(activations)}")


def _compiled_row(row: Measurement) -> Row:
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


def memory(config: ConfigDict, options: Options) -> None:
    """Prints the residuals and the temporary memory of the step on one device, for each way to save memory."""
    examples = options.batch or 8

    def rows() -> Iterator[Row]:
        for name, changes in VARIANTS.items():
            if any(type(_field(config, field)) is not type(value) for field, value in changes.items()):
                continue  # this model does not have the option
            if changes and all(_field(config, field) == value for field, value in changes.items()):
                continue  # the first row
            if examples % int(changes.get("train.accumulate", 1)):
                continue  # microbatches would differ in size
            changed = config.copy_and_resolve_references()
            changed.update_from_flattened_dict(changes)
            kept = residual_bytes(changed, batch=examples, patch=options.patch)
            shown = name or str(config.model.get("dtype", "float32"))
            yield shown, f"{kept / MIB:,.1f}", *(() if options.dry else compiled_with(changes))

    def compiled_with(changes: Mapping[str, str | bool | int]) -> Row:
        given = [
            "compile",
            *options.argv[1:],
            "--here",
            *(f"--config.{field}={value}" for field, value in changes.items()),
        ]
        row = _measure_in_process([*given, "--batch", str(examples)], 1)
        return (f"{row['arguments'] / MIB:,.1f}", f"{row['temporary'] / MIB:,.1f}", row["compile_seconds"])

    header = ["option", "kept MiB"]
    _print(header if options.dry else [*header, "arguments MiB", "temporary MiB", "compiling s"], rows())


def _field(config: ConfigDict, name: str) -> object:
    section, field = name.split(".")
    return config[section].get(field)


def _measure_in_process(argv: Sequence[str], devices: int) -> Measurement:
    """Runs `argv` in a new process, whose number of virtual devices is fixed when JAX starts."""
    flags = f"--xla_force_host_platform_device_count={devices} {QUICK_XLA}"
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-m", "ultrabm_jax.scaling", *argv]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise UserError(f"compiling for {devices} devices failed; see above")
    return json.loads(done.stdout.splitlines()[-1])


def _print(header: Sequence[str], rows: Iterable[Row]) -> None:
    for row in itertools.chain((header, ["---"] * len(header)), rows):
        print_row(row)


def print_row(row: Row) -> None:
    """Prints a row of a Markdown table."""
    print(f"| {' | '.join(map(str, row))} |", flush=True)
