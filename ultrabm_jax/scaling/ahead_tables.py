"""The tables of `compile --target` and `predict`: cells of rows that `ahead.obtain` returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ultrabm_jax.errors import UserError
from ultrabm_jax.scaling.ahead import Row, fits
from ultrabm_jax.scaling.compiled_program import CompiledProgram, peak_bytes
from ultrabm_jax.scaling.predict import predict
from ultrabm_jax.scaling.roofline import roofline
from ultrabm_jax.scaling.targets import parse_target

CHIP_COUNTS = (1, 8, 64, 512, 4096)
PREDICTED = (
    *("chip", "chips", "arithmetic ms", "bandwidth ms", "links ms", "limit"),
    *("step at least ms", "efficiency % at least"),
)
WITHOUT_CODE = " without code"  # follows the seconds of a compilation that ended before machine code was generated
GIB = 2**30
HEADER = (
    *(
        "config",
        "program",
        "target",
        "batch",
        "size",
        "fits",
        "GiB",
        "Tflop",
        "GiB accessed",
        "collectives",
        "sent MiB",
    ),
    *("bound ms", "limit", "utilisation %", "compile s", "equal to"),
)


def cells(row: Row) -> list[str]:
    """The cells of `HEADER`."""
    case, result = row["case"], row["result"]
    first = [*(str(case[name]) for name in ("config", "program", "target", "batch")), _size(case["size"])]
    if result is None:
        return [*first, row["error"], *[""] * (len(HEADER) - len(first) - 1)]
    if not result["accepted"]:
        refused = [f"no ({result['refusal']})", "", f"{result['flops'] / 1e12:.3f}"]
        blank = [""] * (len(HEADER) - len(first) - len(refused) - 2)
        return [*first, *refused, *blank, _seconds(result), row["twin"]]
    chip = parse_target(str(case["target"])).chip
    bound = ["", "", ""]
    if chip is not None:
        found = roofline(result, chip, dtype=row["dtype"])
        bound = [f"{1e3 * found.seconds:.2f}", found.limit, f"{100 * found.utilisation:.0f}"]
    accessed = result["accessed"]
    return [
        *first,
        "yes" if fits(row) else "no",
        f"{peak_bytes(result) / GIB:.2f}",
        f"{result['flops'] / 1e12:.3f}",
        "" if accessed is None else f"{accessed / GIB:.2f}",
        ", ".join(f"{count} {kind}" for kind, count in sorted(result["collectives"].items())) or "none",
        f"{result['sent'] / 2**20:.1f}",
        *bound,
        _seconds(result),
        row["twin"],
    ]


def _seconds(result: CompiledProgram) -> str:
    return f"{result['compile_seconds']:.0f}" + ("" if result.get("code", True) else WITHOUT_CODE)


def _size(size: object) -> str:
    return "x".join(map(str, size)) if isinstance(size, list | tuple) else ""


def predicted(row: Row) -> Iterator[Sequence[str | int]]:
    """The cells of `PREDICTED` for each of `CHIP_COUNTS`.

    Raises UserError if the program was not compiled, does not fit the chip, or is for a chip without published figures.
    """
    target, result = parse_target(str(row["case"]["target"])), row["result"]
    if target.chip is None:
        raise UserError(f"{row['case']['target']}: no published figures of this chip, so nothing is predicted")
    if not fits(row) or result is None:
        used = row["result"] and (row["result"]["refusal"] or f"{peak_bytes(row['result']) / GIB:.1f} GiB")
        raise UserError(f"the step does not fit {target.chip_name} ({used})")
    for chips in CHIP_COUNTS:
        found = predict(result, target.chip, chips=chips, dtype=row["dtype"])
        bare, hidden = found.step(overlapped=False), found.step(overlapped=True)
        yield [
            target.chip_name,
            chips,
            *(f"{1e3 * seconds:.3f}" for seconds in (found.arithmetic, found.bandwidth, found.links)),
            found.limit,
            f"{1e3 * hidden:.3f} to {1e3 * bare:.3f}",
            " to ".join(f"{100 * found.efficiency(overlapped=overlapped):.1f}" for overlapped in (False, True)),
        ]
