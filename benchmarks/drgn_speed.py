"""Speed and memory of DRGN and LW-DRGN compared with PyTorch:

    python benchmarks/drgn_speed.py [--sizes 384x384 400x600]

For each size and compute type, both networks, ours jitted and the same graphs in PyTorch (peers/drgn_torch.py: eager,
channels last, same weights, same number of threads), take turns in one process. The table has the medians of `--rounds`
after a warm-up with the fastest and the slowest round, the ratio of PyTorch's time to ours, and the largest difference
between the outputs. A second table has LW-DRGN's time as a fraction of DRGN's: the paper's Table 2 has .041 s and .152
s at 384x384 on an unknown GPU, so only this fraction can be compared. On a GPU, torch.compile is measured as well.

Multiply-adds are those of one generator, as the paper counts them; parameters are those of both. Peak memory is
measured in separate processes: on a CPU, the growth of the process beyond its libraries and weights; on a GPU, what the
allocator reports. XLA's preallocation is disabled.

Needs torch in addition to requirements.txt; without it only ours is timed. Weights are random, which does not affect
the time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.common import side_by_side
from benchmarks.common.side_by_side import HAS_TORCH, JaxProgram, Row, TorchPeer
from ultrabm_jax.evaluation.random_variables import draw_variables

if TYPE_CHECKING:
    from ultrabm_jax.typing import Params

MODELS = ("drgn", "lw_drgn")
PAPER_SECONDS = {"drgn": 0.152, "lw_drgn": 0.041}  # Table 2, 384x384, unknown GPU


def parser() -> argparse.ArgumentParser:
    """The command line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    side_by_side.add_flags(flags, sizes=["384x384", "400x600"], size_help="HEIGHTxWIDTH, multiples of 4")
    flags.add_argument("--model", choices=MODELS, help=argparse.SUPPRESS)
    return flags


def image_of(size: str) -> np.ndarray:
    """A low image (1, h, w, 3) float32, mostly dark."""
    height, width = map(int, size.split("x"))
    return np.random.default_rng(0).beta(1, 9, (1, height, width, 3)).astype(np.float32)


def random_params(name: str) -> Params:
    """Random parameters that keep the scale of the signal; drawn by NumPy, which compiles nothing."""
    import jax

    from ultrabm_jax.models import create_model

    image = jax.ShapeDtypeStruct((1, 16, 16, 3), np.float32)
    shapes = jax.eval_shape(create_model(name, scale=1).init, jax.random.key(0), image)
    return draw_variables(shapes["params"])


def make_ours(name: str, params: Params, size: str, dtype: str) -> JaxProgram:
    """The jitted network on one image."""
    import jax.numpy as jnp

    from ultrabm_jax.models import create_model

    model = create_model(name, scale=1, dtype=jnp.dtype(dtype))
    return JaxProgram(lambda v, x: model.apply(v, x)["restored"], {"params": params}, image_of(size))


def make_peer(name: str, params: Params, size: str, dtype: str, *, compiled: bool = False) -> TorchPeer:
    """PyTorch on the same image."""
    from flax.traverse_util import flatten_dict

    from benchmarks.peers.drgn_torch import DrgnPeer

    network = DrgnPeer(name, flatten_dict(params, sep="/"), device=side_by_side.torch_device(), dtype=dtype)
    return TorchPeer(network.forward, image_of(size), dtype, device=side_by_side.torch_device(), compiled=compiled)


def measure(size: str, dtype: str, options: argparse.Namespace) -> list[Row]:
    """A row for each network."""
    ours: dict[str, JaxProgram] = {}
    peers: dict[tuple[str, str], TorchPeer] = {}
    for model in MODELS:
        params = random_params(model)
        ours[model] = make_ours(model, params, size, dtype)
        if HAS_TORCH:
            peers[model, "torch"] = make_peer(model, params, size, dtype)
            if side_by_side.torch_device() == "cuda":
                peers[model, "torch.compile"] = make_peer(model, params, size, dtype, compiled=True)
    candidates: dict[tuple[str, str], JaxProgram | TorchPeer] = {(model, "ours"): call for model, call in ours.items()}
    seconds, extremes = side_by_side.summarise(
        side_by_side.timed(candidates | peers, options.rounds, calls=options.calls)
    )
    rows = []
    for model in MODELS:
        row = Row(
            model=model,
            size=size,
            dtype=dtype,
            compile_seconds=ours[model].compile_seconds,
            seconds={which: value for (name, which), value in seconds.items() if name == model},
            extremes={which: values for (name, which), values in extremes.items() if name == model},
        )
        if HAS_TORCH:
            theirs = peers[model, "torch"].output()
            row["difference"] = float(np.abs(np.asarray(ours[model]()) - theirs).max())
            row["largest"] = float(np.abs(theirs).max())
        rows.append(row)
    return rows


def print_peak(options: argparse.Namespace) -> None:
    """Prints the peak memory in bytes of one candidate."""
    model, dtype = options.model, options.dtypes[0]
    params = random_params(model)
    side_by_side.print_peak(
        options,
        lambda size: make_ours(model, params, size, dtype),
        lambda size: make_peer(model, params, size, dtype),
    )


def report(rows: list[Row]) -> str:
    """The tables as Markdown."""
    lines = side_by_side.network_table(rows)
    lines += ["", "| image | type | | LW-DRGN's time / DRGN's |", "|---|---|---|---|"]
    lines.append(f"| 384x384 | | the paper | {PAPER_SECONDS['lw_drgn'] / PAPER_SECONDS['drgn']:.3f} |")
    by_model = {model: [row for row in rows if row["model"] == model] for model in MODELS}
    for full, light in zip(by_model["drgn"], by_model["lw_drgn"], strict=True):
        for which, seconds in full["seconds"].items():
            share = light["seconds"][which] / seconds
            lines.append(f"| {full['size']} | {full['dtype']} | {which} | {share:.3f} |")
    return "\n".join([*lines, *side_by_side.notes(rows)])


def main() -> None:
    options = parser().parse_args()
    if options.alone:
        return print_peak(options)
    import jax

    from ultrabm_jax.layers.complexity import count_convolution_macs, count_parameters
    from ultrabm_jax.models import create_model

    print(side_by_side.heading(threads=options.threads))
    for name in MODELS:
        print(f"{name}: {count_parameters(random_params(name)):,} parameters")
        for size in options.sizes:
            low = jax.ShapeDtypeStruct((1, *map(int, size.split("x")), 3), np.float32)
            macs = count_convolution_macs(create_model(name, scale=1), low) / 2  # the two generators are equal
            print(f"{name} {size}: {macs / 1e9:.2f} GMAC of one generator", flush=True)
    rows = []
    for size in options.sizes:
        for dtype in options.dtypes:
            for row in measure(size, dtype, options):
                if not options.no_memory:
                    model = ["--model", row["model"]]
                    row["peak"] = side_by_side.peaks_in_subprocesses(__file__, row, model, threads=options.threads)
                print(json.dumps(row), file=sys.stderr, flush=True)
                rows.append(row)
    print(f"\n{report(rows)}")


if __name__ == "__main__":
    main()
