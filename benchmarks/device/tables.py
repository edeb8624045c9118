"""results.md: the tables of a run of accelerator.py, as docs/log/benchmarks.md has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MIB = 2**20


def markdown(summary: dict) -> str:
    """The tables of all sections that have rows, then errors and what was left out."""
    lines = [*_heading(summary["device"]), ""]
    for section, (header, cells) in TABLES.items():
        rows = []
        for name, line in summary["units"].items():
            if name.startswith(f"{section} ") and "rows" in line:
                rows += [row for values in line["rows"] for row in cells(name.removeprefix(f"{section} "), values)]
        if rows:
            lines += [f"## {section.capitalize()}", "", _row(header), _row(["---"] * len(header)), *map(_row, rows), ""]
    errors = {name: line["error"] for name, line in summary["units"].items() if "error" in line}
    for title, found in (("Errors", errors), ("Left out", summary["left_out"])):
        if found:
            lines += [f"## {title}", "", *(f"- {name}: {reason}" for name, reason in found.items()), ""]
    return "\n".join(lines)


def _heading(device: dict | None) -> list[str]:
    if device is None:
        return ["No device was found within the budget."]
    versions = ", ".join(f"{name} {version}" for name, version in device["versions"].items())
    return [f"{device['count']} x {device['kind']} ({device['platform']}), {device['cores']} CPU cores; {versions}"]


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _parity(name: str, row: dict) -> list[list[str]]:
    return [
        [name, row["reference"], f"{row['highest']:.1e}", f"{row['default']:.1e}", "yes" if row["passed"] else "NO"]
    ]


def _inference(name: str, row: dict) -> list[list[str]]:
    first = row["seconds"].get("torch")
    found = []
    for which, seconds in row["seconds"].items():
        ratio = "" if first is None else f"{first / seconds:.2f}"
        cells = [row["model"], row["size"], row["dtype"], which, f"{1e3 * seconds:.2f}", ratio]
        found.append([*cells, f"{row['compile_seconds']:.1f}" if which == "ours" else ""])
    return found


def _training(name: str, row: dict) -> list[list[str]]:
    bound, peak = row["bound_seconds"], row["peak_bytes"]
    return [
        [
            name,
            f"{1e3 * row['seconds']:.1f}",
            "" if bound is None else f"{1e3 * bound:.1f} ({row['limit']})",
            "" if bound is None else f"{100 * bound / row['seconds']:.0f}",
            f"{row['flops'] / row['seconds'] / 1e12:.3g}",
            f"{row['predicted_bytes'] / MIB:,.0f}",
            "" if peak is None else f"{peak / MIB:,.0f}",
            f"{row['compile_seconds']:.1f}",
        ]
    ]


def _profile(name: str, row: dict) -> list[list[str]]:
    return [[name, f"`{row['trace']}`"]]


def _fit(name: str, row: dict) -> list[list[str]]:
    rate = row["images_per_second"]
    scores = ", ".join(f"{metric} {value:.3f}" for metric, value in row["scores"].items() if value is not None)
    at = f"{scores} at step {row['scored_step']}" if scores else ""
    return [[name, str(row["step"]), "" if rate is None else f"{rate:.1f}", at]]


TABLES: dict[str, tuple[list[str], Callable[[str, dict], list[list[str]]]]] = {
    "parity": (["network", "reference", "error, highest precision", "error, default precision", "passed"], _parity),
    "inference": (["network", "low image", "type", "", "ms", "torch / this", "compile s"], _inference),
    "training": (
        ["step", "ms", "bound ms", "% of bound", "Tflop/s", "predicted MiB", "peak MiB", "compile s"],
        _training,
    ),
    "profile": (["step", "trace"], _profile),
    "fit": (["network", "step", "images/s", "held-out images"], _fit),
}
