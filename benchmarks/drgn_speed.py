"""Speed and memory of DRGN and LW-DRGN beside PyTorch: python benchmarks/drgn_speed.py [--sizes 384x384 400x600]

For each size and compute type, both networks, ours jitted and the same graphs in PyTorch (peers/drgn_torch.py: eager,
channels last, same weights, same threads), take turns in one process; the table has the medians of `--rounds` after
warming up, the ratio of PyTorch's time to ours, and the largest difference between the outputs. A second table has
LW-DRGN's time as a share of DRGN's: the paper's Table 2 has .041 s and .152 s at 384x384 on a GPU of its own, of which
only that share can be compared. On a GPU, torch.compile takes turns too.

Multiply-adds are of one generator, as the paper counts, and parameters of both. Peak memory is measured in processes of
their own: on a CPU what the process grew by at most, beyond its libraries and weights, on a GPU what the allocators
report. XLA reserves no memory ahead here.

Needs torch beside requirements.txt; without it only ours is timed. Weights are random, which changes no time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.side_by_side import HAS_TORCH, heading, medians, peak_memory, peak_of_jax

MODELS = ("drgn", "lw_drgn")
PAPER_SECONDS = {"drgn": 0.152, "lw_drgn": 0.041}  # Table 2, 384x384, unknown GPU


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--sizes", nargs="+", default=["384x384", "400x600"], help="HEIGHTxWIDTH, multiples of 4")
    flags.add_argument("--dtypes", nargs="+", default=["float32"], choices=["float32", "bfloat16"])
    flags.add_argument("--rounds", type=int, default=7)
    flags.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of PyTorch, on a CPU")
    flags.add_argument("--no-memory", action="store_true", help="leave out peak memory, which needs further processes")
    flags.add_argument("--alone", choices=["ours", "peer"], help=argparse.SUPPRESS)
    flags.add_argument("--model", choices=MODELS, help=argparse.SUPPRESS)
    return flags


def image_of(size: str) -> np.ndarray:
    """A low image (1, h, w, 3): mostly dark."""
    height, width = map(int, size.split("x"))
    return np.random.default_rng(0).beta(1, 9, (1, height, width, 3)).astype(np.float32)


def random_params(name: str) -> Any:
    """Parameters in whose network no signal grows or dies; drawn by NumPy, so that nothing is compiled for them."""
    import jax

    from ultrabm_jax.models import create_model

    rng = np.random.default_rng(0)

    def draw(leaf: Any) -> np.ndarray:
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 16
        return rng.normal(0, fan_in**-0.5, leaf.shape).astype(np.float32)

    image = jax.ShapeDtypeStruct((1, 16, 16, 3), np.float32)
    shapes = jax.eval_shape(create_model(name, scale=1).init, jax.random.key(0), image)
    return jax.tree.map(draw, shapes["params"])


class Ours:
    """The jitted network on one image."""

    def __init__(self, name: str, params: Any, size: str, dtype: str):
        import jax
        import jax.numpy as jnp

        from ultrabm_jax.models import create_model

        self.jax = jax
        model = create_model(name, scale=1, dtype=jnp.dtype(dtype))
        self.variables = jax.device_put({"params": params})
        self.low = jax.device_put(image_of(size))
        begin = time.perf_counter()
        apply = jax.jit(lambda v, x: model.apply(v, x)["restored"])
        self.program = apply.lower(self.variables, self.low).compile()
        self.compile_seconds = time.perf_counter() - begin

    def __call__(self) -> Any:
        return self.jax.block_until_ready(self.program(self.variables, self.low))


class Peer:
    """PyTorch on the same image."""

    def __init__(self, name: str, params: Any, size: str, dtype: str, *, device: str, compiled: bool):
        import torch
        from flax.traverse_util import flatten_dict
        from peers.drgn_torch import DrgnPeer

        self.torch = torch
        network = DrgnPeer(name, flatten_dict(params, sep="/"), device=device, dtype=dtype)
        self.run = torch.compile(network.forward) if compiled else network.forward
        low = torch.from_numpy(image_of(size).transpose(0, 3, 1, 2))
        self.low = low.to(device=device, dtype=getattr(torch, dtype))

    def __call__(self) -> Any:
        with self.torch.inference_mode():
            out = self.run(self.low)
        if out.is_cuda:
            self.torch.cuda.synchronize()
        return out


def measure(size: str, dtype: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each network."""
    import jax

    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    turns: dict[tuple[str, str], Any] = {}
    for model in MODELS:
        params = random_params(model)
        turns[model, "ours"] = Ours(model, params, size, dtype)
        if HAS_TORCH:
            turns[model, "torch"] = Peer(model, params, size, dtype, device=device, compiled=False)
            if device == "cuda":
                turns[model, "torch.compile"] = Peer(model, params, size, dtype, device=device, compiled=True)
    seconds = medians(turns, options.rounds)
    rows = []
    for model in MODELS:
        row: dict[str, Any] = {"model": model, "size": size, "dtype": dtype}
        row["compile_seconds"] = turns[model, "ours"].compile_seconds
        row["seconds"] = {which: value for (name, which), value in seconds.items() if name == model}
        if HAS_TORCH:
            theirs = turns[model, "torch"]().float().cpu().numpy().transpose(0, 2, 3, 1)
            row["difference"] = float(np.abs(np.asarray(turns[model, "ours"]()) - theirs).max())
            row["largest"] = float(np.abs(theirs).max())
        rows.append(row)
    return rows


def alone(options: argparse.Namespace) -> None:
    """Prints the peak memory in bytes of one candidate, as a process of its own."""
    model, dtype = options.model, options.dtypes[0]
    params = random_params(model)
    if options.alone == "ours":
        peak = peak_memory(lambda size: Ours(model, params, size, dtype), options.sizes[0], of_gpu=peak_of_jax)
    else:
        import jax
        import torch

        torch.set_num_threads(options.threads)
        device = "cuda" if jax.default_backend() == "gpu" else "cpu"
        peak = peak_memory(
            lambda size: Peer(model, params, size, dtype, device=device, compiled=False),
            options.sizes[0],
            of_gpu=torch.cuda.max_memory_allocated,
        )
    print(json.dumps(peak))


def peak_alone(which: str, row: dict[str, Any], options: argparse.Namespace) -> int:
    command = [sys.executable, __file__, "--alone", which, "--model", row["model"], "--sizes", row["size"]]
    command += ["--dtypes", row["dtype"], "--threads", str(options.threads)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def report(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| network | image | type | | ms | ratio | peak GiB |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        first = row["seconds"].get("torch", row["seconds"]["ours"])
        for which, seconds in row["seconds"].items():
            peak = row.get("peak", {}).get(which)
            memory = "" if peak is None else f"{peak / 2**30:.2f}"
            lines.append(
                f"| {row['model']} | {row['size']} | {row['dtype']} | {which} | {1e3 * seconds:.1f} "
                f"| {first / seconds:.2f} | {memory} |"
            )
    lines += ["", "| image | type | | LW-DRGN's time / DRGN's |", "|---|---|---|---|"]
    lines.append(f"| 384x384 | | the paper | {PAPER_SECONDS['lw_drgn'] / PAPER_SECONDS['drgn']:.3f} |")
    by_model = {model: [row for row in rows if row["model"] == model] for model in MODELS}
    for full, light in zip(by_model["drgn"], by_model["lw_drgn"], strict=True):
        for which, seconds in full["seconds"].items():
            share = light["seconds"][which] / seconds
            lines.append(f"| {full['size']} | {full['dtype']} | {which} | {share:.3f} |")
    for row in rows:
        note = f"{row['model']} {row['size']} {row['dtype']}: compiled in {row['compile_seconds']:.1f} s"
        if "difference" in row:
            note += f"; outputs differ by at most {row['difference']:.1e}, the largest is {row['largest']:.2f}"
        lines += ["", f"{note}."]
    return "\n".join(lines)


def main() -> None:
    options = parser().parse_args()
    if options.alone:
        return alone(options)
    import jax

    from ultrabm_jax.layers.complexity import count_convolution_macs, count_parameters
    from ultrabm_jax.models import create_model

    print(heading(threads=options.threads))
    for name in MODELS:
        print(f"{name}: {count_parameters(random_params(name)):,} parameters")
        for size in options.sizes:
            low = jax.ShapeDtypeStruct((1, *map(int, size.split("x")), 3), np.float32)
            macs = count_convolution_macs(create_model(name, scale=1), low) / 2  # the two generators are alike
            print(f"{name} {size}: {macs / 1e9:.2f} GMAC of one generator", flush=True)
    rows = []
    for size in options.sizes:
        for dtype in options.dtypes:
            for row in measure(size, dtype, options):
                if not options.no_memory:
                    kinds = {"ours": "ours", "torch": "peer"} if HAS_TORCH else {"ours": "ours"}
                    row["peak"] = {which: peak_alone(kind, row, options) for which, kind in kinds.items()}
                print(json.dumps(row), file=sys.stderr, flush=True)
                rows.append(row)
    print(f"\n{report(rows)}")


if __name__ == "__main__":
    main()
