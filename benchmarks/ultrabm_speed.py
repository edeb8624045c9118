"""Speed and memory of UltraBM compared with PyTorch:

    python benchmarks/ultrabm_speed.py [--cases small_x2 base_x4] [--sizes 128x128 400x600]

For each network and size, ours jitted and the same graph in PyTorch (peers/ultrabm_torch.py: eager, channels last, same
weights, same number of threads) take turns in one process. The table has the medians of `--rounds` after a warm-up with
the fastest and the slowest round, the ratio of PyTorch's time to ours and the peak memory; the largest difference
between the outputs follows. On a GPU, torch.compile is measured as well.

Cases: small without a semantic extractor, base with VGG-16, and base with the release's structure and HRNet-W48
(`release`), each at x2 and x4. Peak memory is measured in separate processes: on a CPU, the growth of the process
beyond its libraries and weights, which for ours includes what compiling needs; on a GPU, what the allocator reports.
XLA's preallocation is disabled.

Needs torch in addition to requirements.txt; without it only ours is timed. Weights are random, which does not affect
the time.
"""

from __future__ import annotations

import argparse
import functools
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
from benchmarks.drgn_speed import image_of
from ultrabm_jax.evaluation.random_variables import draw_variables

if TYPE_CHECKING:
    from ultrabm_jax.models.ultrabm.network import UltraBM
    from ultrabm_jax.typing import Variables

NETWORKS = {
    "small": {"variant": "small", "semantic": "none"},
    "base": {"semantic": "vgg16"},
    "base_none": {"semantic": "none"},
    "release": {"compat": "ultrais", "semantic": "hrnet_w48"},
}
CASES = tuple(f"{name}_x{scale}" for name in NETWORKS for scale in (2, 4))
DEFAULT_CASES = ("small_x2", "small_x4", "base_x2", "base_x4")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    side_by_side.add_flags(flags, sizes=["128x128", "400x600"], size_help="HEIGHTxWIDTH")
    flags.add_argument("--cases", nargs="+", choices=CASES, default=list(DEFAULT_CASES))
    return flags


def make_model(case: str, dtype: str) -> UltraBM:
    """The network of a case."""
    import jax.numpy as jnp

    from ultrabm_jax.models import create_model

    name, scale = case.rsplit("_x", 1)
    return create_model("ultrabm", scale=int(scale), dtype=jnp.dtype(dtype), **NETWORKS[name])


@functools.lru_cache(maxsize=1)
def random_variables(case: str) -> Variables:
    """Random variables that keep the scale of the signal; drawn by NumPy, which compiles nothing."""
    import jax

    image = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    return draw_variables(dict(jax.eval_shape(make_model(case, "float32").init, jax.random.key(0), image)))


def make_ours(case: str, size: str, dtype: str) -> JaxProgram:
    """The jitted network on one image."""
    model = make_model(case, dtype)
    return JaxProgram(lambda v, x: model.apply(v, x)["restored"], random_variables(case), image_of(size))


def make_peer(case: str, size: str, dtype: str, *, compiled: bool = False) -> TorchPeer:
    """PyTorch on the same image."""
    from flax.traverse_util import flatten_dict

    from benchmarks.peers.ultrabm_torch import UltraBMPeer

    variables, device = random_variables(case), side_by_side.torch_device()
    frozen = flatten_dict(variables["frozen"]["semantic"], sep="/") if "frozen" in variables else None
    params, options = flatten_dict(variables["params"], sep="/"), vars(make_model(case, dtype))
    network = UltraBMPeer(params, options, frozen=frozen, device=device, dtype=dtype)
    return TorchPeer(network.forward, image_of(size), dtype, device=device, compiled=compiled)


def measure(case: str, size: str, dtype: str, *, rounds: int, calls: int = 1) -> Row:
    """One row."""
    candidates: dict[str, JaxProgram | TorchPeer] = {"ours": (ours := make_ours(case, size, dtype))}
    if HAS_TORCH:
        candidates["torch"] = peer = make_peer(case, size, dtype)
        if side_by_side.torch_device() == "cuda":
            candidates["torch.compile"] = make_peer(case, size, dtype, compiled=True)
    seconds, extremes = side_by_side.summarise(side_by_side.timed(candidates, rounds, calls=calls))
    row = Row(model=case, size=size, dtype=dtype, compile_seconds=ours.compile_seconds, seconds=seconds)
    row["extremes"] = extremes
    if HAS_TORCH:
        theirs = peer.output()
        row["difference"] = float(np.abs(np.asarray(ours(), np.float32) - theirs).max())
        row["largest"] = float(np.abs(theirs).max())
    return row


def print_peak(options: argparse.Namespace) -> None:
    """Prints the peak memory in bytes of one candidate."""
    (case,), dtype = options.cases, options.dtypes[0]
    side_by_side.print_peak(
        options, lambda size: make_ours(case, size, dtype), lambda size: make_peer(case, size, dtype)
    )


def main() -> None:
    options = parser().parse_args()
    if options.alone:
        return print_peak(options)
    print(side_by_side.heading(threads=options.threads), flush=True)
    rows = []
    for case in options.cases:
        for size in options.sizes:
            for dtype in options.dtypes:
                row = measure(case, size, dtype, rounds=options.rounds, calls=options.calls)
                if not options.no_memory:
                    flags = ["--cases", case]
                    row["peak"] = side_by_side.peaks_in_subprocesses(__file__, row, flags, threads=options.threads)
                print(json.dumps(row), file=sys.stderr, flush=True)
                rows.append(row)
    print("\n".join([*side_by_side.network_table(rows), *side_by_side.notes(rows)]))


if __name__ == "__main__":
    main()
