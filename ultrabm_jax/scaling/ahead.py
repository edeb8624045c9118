"""`compile --target`: programs compiled by the compilers of absent chips, one process each, as rows of a table.

Every row is appended to a file of JSON lines as soon as it exists; a later call with the same file compiles only what
is missing. A program that equals one in the file is not compiled again: its row names the other config.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from ml_collections import ConfigDict

from ultrabm_jax.config_flags import read_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.layers.by_platform import traced_for
from ultrabm_jax.scaling.arithmetic import product_flops
from ultrabm_jax.scaling.compiled_program import CompiledProgram, compile_ahead, peak_bytes
from ultrabm_jax.scaling.fingerprint import fingerprint
from ultrabm_jax.scaling.largest_batch import largest_batch
from ultrabm_jax.scaling.programs import default_size, trace_restore
from ultrabm_jax.scaling.step import trace_for
from ultrabm_jax.scaling.tables import QUICK_XLA
from ultrabm_jax.scaling.targets import parse_target
from ultrabm_jax.training.sharding import make_mesh

PROGRAMS = ("train", "restore", "sample")
_TIMED_OUT = "not compiled within "


@dataclasses.dataclass(frozen=True)
class Case:
    """One program for one target. `batch` is per device; `size` is (height, width) of the low image or patch."""

    config: str
    program: str
    target: str
    batch: int
    size: tuple[int, int]
    overrides: tuple[str, ...] = ()


class Row(TypedDict):
    """A line of the file: the case, the compute type, and the result or the error."""

    case: dict[str, object]
    dtype: str
    result: CompiledProgram | None
    error: str  # last line of the process's error output, "" after success
    fingerprint: str  # of the lowered program (fingerprint.py); "" after an error
    twin: str  # the config whose equal program was compiled instead, "" if this one was
    code: bool  # whether machine code was wanted


def compile_case(
    case: Case, *, phase: int = -1, known: Sequence[Row] = (), hlo: Path | None = None, code: bool = True
) -> Row:
    """Compiles `case` in this process, which was started with its target's environment.

    If `known` has the result of an equal program, that is the result. `hlo` is a folder for the program's text. `code`
    as for `compile_ahead`.
    """
    config = read_config(case.config, case.overrides)
    devices = parse_target(case.target).devices()
    mesh = make_mesh(config.mesh, devices=devices)
    split = 1  # devices that share the arithmetic; those of inference repeat it
    with traced_for(parse_target(case.target).platform):
        if case.program == "train":
            traced, _ = trace_for(config, mesh, per_device=case.batch, patch=case.size[0], phase=phase)
            split = mesh.size
        else:
            traced, _ = trace_restore(config, mesh, batch=case.batch, size=case.size, sample=case.program == "sample")
    lowered = traced.lower()
    row: Row = {
        "case": dataclasses.asdict(case),
        "dtype": compute_type(config),
        "result": None,
        "error": "",
        "fingerprint": fingerprint(lowered.as_text()),
        "twin": "",
        "code": code,
    }
    if twin := find_twin(row, known):
        return {**row, "result": twin["result"], "twin": str(twin["case"]["config"])}
    if hlo is not None:
        hlo.mkdir(parents=True, exist_ok=True)
        hlo /= f"{Path(case.config).stem}-{case.program}-{case.target.replace(':', '-')}.txt.gz"
    flops = product_flops(traced.jaxpr.jaxpr) / split
    return {**row, "result": compile_ahead(lowered, flops=flops, devices=mesh.size, hlo=hlo, code=code)}


def find_twin(row: Row, known: Sequence[Row]) -> Row | None:
    """The row of `known` that was compiled from an equal program for the same target; None if there is none.

    A row without machine code is none if `row` wants machine code.
    """
    same = (
        other
        for other in known
        if other["result"] is not None
        and not other["twin"]
        and (other["code"] or not row["code"])
        and other["fingerprint"] == row["fingerprint"]
        and other["case"]["target"] == row["case"]["target"]
    )
    return next(same, None)


def compute_type(config: ConfigDict) -> str:
    """config.model.dtype, or float32 for networks without the option."""
    return str(config.model.get("dtype", "float32"))


def cases(
    configs: list[str],
    programs: list[str],
    targets: list[str],
    *,
    batch: int | None,
    size: tuple[int, int] | None,
    overrides: tuple[str, ...],
) -> Iterator[Case]:
    """All combinations; batch and size default to the last stage of training, or to one image of `default_size`."""
    for name in configs:
        config = read_config(name, overrides)
        for program in programs:
            if program == "sample" and config.model.name != "lolisrflow":
                continue
            for target in targets:
                parse_target(target)  # an error before the first compilation
                usual = (config.data.patch_size,) * 2 if program == "train" else default_size(config)
                yield Case(name, program, target, batch or 1, size or usual, overrides)


def compile_in_process(
    case: Case,
    *,
    phase: int,
    timeout: float | None = None,
    rows: Path | None = None,
    hlo: Path | None = None,
    code: bool = True,
) -> Row:
    """`compile_case` in a new process; an error of the compiler or a timeout becomes the row's `error`.

    `rows` is the file of known rows. The compilers of GPUs and CPUs generate code in any case.
    """
    target = parse_target(case.target)
    code = code or not _can_leave_out_code(case)
    env = os.environ | target.environment() | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    if target.platform == "cpu":
        env["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={target.size} {QUICK_XLA}"
    command = [sys.executable, "-m", "ultrabm_jax.scaling", "compile", "--config", case.config, "--here"]
    command += ["--target", case.target, "--program", case.program, "--batch", str(case.batch)]
    command += ["--size", *map(str, case.size), "--phase", str(phase), *case.overrides]
    command += [*(("--json", str(rows)) if rows else ()), *(("--hlo", str(hlo)) if hlo else ())]
    command += [] if code else ["--without-code"]
    with tempfile.TemporaryDirectory(prefix="ultrabm_") as scratch:  # a process that is killed leaves files there
        env["TMPDIR"] = scratch
        try:
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=timeout)
        except subprocess.TimeoutExpired:
            return _failed(case, f"{_TIMED_OUT}{timeout:g} s", code=code)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return _failed(case, lines[-1] if lines else f"exit status {done.returncode}", code=code)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def obtain(
    case: Case,
    *,
    phase: int,
    file: Path | None,
    timeout: float | None = None,
    hlo: Path | None = None,
    code: bool = True,
) -> Row:
    """The newest row of `case` in `file` that suffices; compiled and appended if there is none.

    Not enough: less time for a program that was not compiled; no machine code where it is wanted.
    """
    code = code or not _can_leave_out_code(case)
    for known in reversed(read_rows(file)):
        if is_case(known, case) and not _had_less_time(known, timeout, code=code) and (known["code"] or not code):
            return known
    row = compile_in_process(case, phase=phase, timeout=timeout, rows=file, hlo=hlo, code=code)
    if file:
        with file.open("a") as lines:
            lines.write(json.dumps(row) + "\n")
    return row


def _can_leave_out_code(case: Case) -> bool:
    return parse_target(case.target).platform == "tpu"


def _had_less_time(row: Row, timeout: float | None, *, code: bool) -> bool:
    if not row["error"].startswith(_TIMED_OUT):
        return False
    if row["code"] and not code:
        return True  # that needs less time
    return timeout is None or timeout > float(row["error"].removeprefix(_TIMED_OUT).removesuffix(" s"))


def _failed(case: Case, error: str, *, code: bool) -> Row:
    return {
        "case": dataclasses.asdict(case),
        "dtype": "",
        "result": None,
        "error": error,
        "fingerprint": "",
        "twin": "",
        "code": code,
    }


def fits(row: Row) -> bool:
    """Whether the compiler accepted the program and the chip's memory holds it. Raises UserError if it failed."""
    result = row["result"]
    if result is None:
        raise UserError(row["error"])
    chip = parse_target(str(row["case"]["target"])).chip
    return result["accepted"] and (chip is None or peak_bytes(result) <= chip.memory)


def largest_fitting(case: Case, *, phase: int, code: bool = True) -> int:
    """The largest batch per device of `case` that fits; compiles once for each batch tried."""

    def with_batch(batch: int) -> Row:
        return compile_in_process(dataclasses.replace(case, batch=batch), phase=phase, code=code)

    return largest_batch(lambda batch: fits(with_batch(batch)))


def read_rows(file: Path | None) -> list[Row]:
    """The rows of a file of JSON lines; none if there is no such file. Raises UserError for a line that is no row."""
    if file is None or not file.is_file():
        return []
    rows: list[Row] = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        try:
            row: Row = json.loads(line)
            row.setdefault("code", True)  # files from before it could be left out
        except (ValueError, AttributeError) as error:
            raise UserError(f"{file}: line {number} is not a row of this command, delete it ({error})") from error
        rows.append(row)
    return rows


def is_case(row: Row, case: Case) -> bool:
    """Whether `row` is the result of `case`."""
    same: bool = row["case"] == json.loads(json.dumps(dataclasses.asdict(case)))
    return same
