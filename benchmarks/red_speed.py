"""Speed and memory of RED compared with PyTorch:

    python benchmarks/red_speed.py [--sizes 512x512 2048x4096 2848x4256]

For each mosaic size and compute type, our jitted network and the same graph in PyTorch (peers/red_torch.py: eager,
channels last, weight normalisation folded, same weights, same number of threads) take turns in one process. The table
has the medians of `--rounds` after a warm-up with the fastest and the slowest round, their ratio, the largest
difference between the outputs, and the time of each block alone (the paper's Table 5; ours in their plain form, while
the whole network computes LSE and FB2 on cells on a CPU). On a GPU, torch.compile is measured as well.

Peak memory is measured in separate processes: on a CPU, the growth of the process beyond its libraries and weights; on
a GPU, what the allocator reports. XLA's preallocation is disabled.

Needs torch in addition to requirements.txt; without it only ours is timed. --weights takes a file in the format of the
release; without it weights are random, which does not affect the time. --profile DIR writes a trace of one call.
--output FILE.json writes the share of each block in float32 for `python -m ultrabm_jax.report.tables FILE.json --table
red_5`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.common import side_by_side
from benchmarks.common.side_by_side import HAS_TORCH, Candidate, JaxProgram, Row, TorchPeer

if TYPE_CHECKING:
    import jax
    import torch

    from ultrabm_jax.report.summary import SpeedRecord
    from ultrabm_jax.typing import StateDict, Variables

BLOCKS = ("lse", "mse", "hse", "fb1", "fb2")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    side_by_side.add_flags(flags, sizes=["512x512", "2048x4096", "2848x4256"], size_help="HEIGHTxWIDTH")
    flags.add_argument("--weights", help="PyTorch file in the format of the release")
    flags.add_argument("--profile", help="folder for a trace of one call")
    flags.add_argument("--output", metavar="FILE.json", help="the shares of the blocks, for report.tables")
    return flags


def mosaic_of(size: str) -> np.ndarray:
    """An amplified mosaic (1, h, w, 1), like SID's at ratio 300: mostly below 1, some values far above."""
    height, width = map(int, size.split("x"))
    return np.random.default_rng(0).gamma(0.7, 0.4, (1, height, width, 1)).astype(np.float32)


def load_weights(path: str | None) -> tuple[Variables, StateDict]:
    """(our variables with gains, state dict of the release)."""
    import jax
    import jax.numpy as jnp

    from ultrabm_jax.evaluation.random_variables import draw_variables
    from ultrabm_jax.models import create_model
    from ultrabm_jax.weights import from_torch, load_torch, to_torch

    if path:
        variables = from_torch("red", load_torch(path))
    else:
        model = create_model("red", scale=1)  # its initialisers, called one by one, would compile many small programs
        variables = draw_variables(dict(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 1)))))
    return variables, to_torch("red", variables)


class Ours(JaxProgram):
    """The jitted network and its blocks on one mosaic."""

    def __init__(self, variables: Variables, size: str, dtype: str):
        import jax.numpy as jnp

        from ultrabm_jax.models import create_model
        from ultrabm_jax.models.red.weight_norm import fold_weight_norm

        self.model = create_model("red", scale=1, weight_norm=False, dtype=jnp.dtype(dtype))
        folded = {"params": fold_weight_norm(variables["params"])}
        mosaic = mosaic_of(size).astype(jnp.dtype(dtype))
        super().__init__(lambda v, x: self.model.apply(v, x)["restored"], folded, mosaic)

    def blocks(self) -> dict[str, Candidate]:
        """A call of each block alone."""
        inputs: dict[str, tuple[jax.Array, ...]] = dict.fromkeys(("lse", "mse", "hse"), (self.image,))
        run = {name: self._block(name) for name in BLOCKS}
        lse, mse, hse = (run[name](*inputs[name]) for name in ("lse", "mse", "hse"))
        inputs |= {"fb1": (mse, hse), "fb2": (lse, run["fb1"](mse, hse))}
        return {name: partial(self._wait, run[name], inputs[name]) for name in BLOCKS}

    def _wait(self, block: Callable[..., jax.Array], inputs: tuple[jax.Array, ...]) -> jax.Array:
        import jax

        return jax.block_until_ready(block(*inputs))

    def _block(self, name: str) -> Callable[..., jax.Array]:
        import jax

        apply = jax.jit(lambda v, *x: self.model.apply(v, *x, method=name))
        return lambda *x: apply(self.variables, *x)


class Peer(TorchPeer):
    """PyTorch on the same mosaic."""

    def __init__(self, state_dict: StateDict, size: str, dtype: str, *, compiled: bool = False):
        from benchmarks.peers.red_torch import RedPeer

        self.network = RedPeer(state_dict, device=side_by_side.torch_device(), dtype=dtype)
        super().__init__(
            self.network.forward, mosaic_of(size), dtype, device=side_by_side.torch_device(), compiled=compiled
        )

    def blocks(self) -> dict[str, Candidate]:
        """A call of each block alone."""
        net = self.network
        with self.torch.inference_mode():
            x2 = self.torch.nn.functional.pixel_unshuffle(self.image, 2)
            lse, mse, hse = net.lse(x2), net.mse(x2), net.hse(x2)
            inputs = {"lse": (x2,), "mse": (x2,), "hse": (x2,), "fb1": (mse, hse), "fb2": (lse, net.fb1(mse, hse))}
        return {name: partial(self._block, getattr(net, name), inputs[name]) for name in BLOCKS}

    def _block(self, function: Callable[..., torch.Tensor], inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        with self.torch.inference_mode():
            return self.wait(function(*inputs))


def measure(size: str, dtype: str, options: argparse.Namespace) -> Row:
    """One row."""
    import jax

    variables, state_dict = load_weights(options.weights)
    candidates: dict[str, Ours | Peer] = {"ours": (ours := Ours(variables, size, dtype))}
    if HAS_TORCH:
        candidates["torch"] = peer = Peer(state_dict, size, dtype)
        if side_by_side.torch_device() == "cuda":
            candidates["torch.compile"] = Peer(state_dict, size, dtype, compiled=True)
    seconds, extremes = side_by_side.summarise(side_by_side.timed(candidates, options.rounds, calls=options.calls))
    row = Row(size=size, dtype=dtype, compile_seconds=ours.compile_seconds, seconds=seconds, extremes=extremes)
    if HAS_TORCH:
        row["difference"] = float(np.abs(np.asarray(ours(), np.float32) - peer.output()).max())
    row["blocks"] = {
        name: side_by_side.medians(candidate.blocks(), options.rounds, calls=options.calls)
        for name, candidate in candidates.items()
        if "." not in name
    }
    if options.profile:
        with jax.profiler.trace(options.profile):
            ours()
    return row


def print_peak(options: argparse.Namespace) -> None:
    """Prints the peak memory in bytes of one candidate."""
    dtype = options.dtypes[0]
    variables, state_dict = load_weights(options.weights)
    side_by_side.print_peak(
        options, lambda size: Ours(variables, size, dtype), lambda size: Peer(state_dict, size, dtype)
    )


def shares(rows: list[Row]) -> list[SpeedRecord]:
    """The share of each of our blocks in the sum of their times, in percent, of the float32 rows."""
    from ultrabm_jax.evaluation.results import versions
    from ultrabm_jax.evaluation.speed import machine

    records: list[SpeedRecord] = []
    for row in rows:
        if row["dtype"] == "float32":
            seconds = row["blocks"]["ours"]
            total = sum(seconds.values())
            percent = {block: round(100 * time / total, 2) for block, time in seconds.items()}
            records.append(
                {
                    "name": "blocks of red",
                    "scale": 1,
                    "model": {"name": "red", "rdb": "star"},
                    "speed": {"input": row["size"], "block_percent": percent, **machine()},
                    "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                    "versions": versions(),
                }
            )
    return records


def report(rows: list[Row]) -> str:
    """The tables as Markdown."""
    lines = ["| mosaic | type | | ms | ratio | frames/s | peak GiB |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        for cells in side_by_side.candidate_cells(row, rate=True):
            lines.append(f"| {row['size']} | {row['dtype']} | {' | '.join(cells)} |")
    lines += ["", "| mosaic | type | | " + " | ".join(f"{b.upper()} ms" for b in BLOCKS) + " |", "|---" * 8 + "|"]
    for row in rows:
        for name, blocks in row["blocks"].items():
            times = " | ".join(f"{1e3 * blocks[b]:.1f}" for b in BLOCKS)
            lines.append(f"| {row['size']} | {row['dtype']} | {name} | {times} |")
    for row in rows:
        note = f"; largest difference of the outputs {row['difference']:.1e}" if "difference" in row else ""
        lines += ["", f"{row['size']} {row['dtype']}: compiled in {row['compile_seconds']:.1f} s{note}."]
    return "\n".join(lines)


def main() -> None:
    options = parser().parse_args()
    if options.alone:
        return print_peak(options)
    import jax

    from ultrabm_jax.layers.complexity import count_convolution_macs, count_parameters
    from ultrabm_jax.models import create_model

    print(side_by_side.heading(threads=options.threads))
    variables, _ = load_weights(options.weights)
    model = create_model("red", scale=1)
    rows = []
    for size in options.sizes:
        height, width = map(int, size.split("x"))
        macs = count_convolution_macs(model, jax.ShapeDtypeStruct((1, height, width, 1), np.float32))
        print(f"{size}: {count_parameters(variables['params']):,} parameters, {macs / 1e9:.2f} GMAC", flush=True)
        for dtype in options.dtypes:
            row = measure(size, dtype, options)
            if not options.no_memory:
                weights = ["--weights", options.weights] if options.weights else []
                row["peak"] = side_by_side.peaks_in_subprocesses(__file__, row, weights, threads=options.threads)
            print(json.dumps(row), file=sys.stderr, flush=True)
            rows.append(row)
    print()
    print(report(rows))
    if options.output:
        Path(options.output).write_text(json.dumps({"speed": shares(rows)}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
