"""RED's speed and memory beside PyTorch: python benchmarks/red_speed.py [--sizes 512x512 2048x4096 2848x4256]

For each size of mosaic and compute type, our jitted network and the same graph in PyTorch (peers/red_torch.py: eager,
channels last, weight normalisation folded, same weights, same threads) take turns in one process; the table has the
medians of `--rounds` after warming up, their ratio, the largest difference between the outputs, and the time of each
block alone (the paper's Table 5). On a GPU, torch.compile takes turns too.

Peak memory is measured in processes of their own: on a CPU what the process grew by at most, beyond its libraries and
weights, on a GPU what the allocators report. XLA reserves no memory ahead here.

Needs torch beside requirements.txt; without it only ours is timed. --weights takes the released file or any other of
its form; without it weights are random, which changes no time. --profile DIR writes a trace of one call of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.side_by_side import HAS_TORCH, StepHooks, heading, medians, peak_memory, peak_of_jax

BLOCKS = ("lse", "mse", "hse", "fb1", "fb2")


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--sizes", nargs="+", default=["512x512", "2048x4096", "2848x4256"], help="HEIGHTxWIDTH")
    flags.add_argument("--dtypes", nargs="+", default=["float32"], choices=["float32", "bfloat16"])
    flags.add_argument("--rounds", type=int, default=7)
    flags.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of PyTorch, on a CPU")
    flags.add_argument("--weights", help="PyTorch file of the release's form")
    flags.add_argument("--no-memory", action="store_true", help="leave out peak memory, which needs further processes")
    flags.add_argument("--profile", help="folder for a trace of one call")
    flags.add_argument("--alone", choices=["ours", "peer"], help=argparse.SUPPRESS)
    return flags


def mosaic_of(size: str) -> np.ndarray:
    """An amplified mosaic (1, h, w, 1): mostly below 1, as one of SID's at ratio 300 is, some far beyond."""
    height, width = map(int, size.split("x"))
    return np.random.default_rng(0).gamma(0.7, 0.4, (1, height, width, 1)).astype(np.float32)


def load_weights(path: str | None) -> tuple[Any, dict[str, np.ndarray]]:
    """(our variables with gains, release state dict)."""
    import jax
    import jax.numpy as jnp

    from ultrabm_jax.models import create_model
    from ultrabm_jax.weights import from_torch, load_torch, to_torch

    if path:
        variables = from_torch("red", load_torch(path))
    else:
        variables = create_model("red", scale=1).init(jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
    return variables, to_torch("red", variables)


class Ours:
    """The jitted network and its blocks on one mosaic."""

    def __init__(self, variables: Any, size: str, dtype: str):
        import jax
        import jax.numpy as jnp

        from ultrabm_jax.models import create_model
        from ultrabm_jax.models.red.weight_norm import fold_weight_norm

        self.jax = jax
        self.model = create_model("red", scale=1, weight_norm=False, dtype=jnp.dtype(dtype))
        self.variables = jax.device_put({"params": fold_weight_norm(variables["params"])})
        self.mosaic = jax.device_put(mosaic_of(size).astype(jnp.dtype(dtype)))
        begin = time.perf_counter()
        apply = jax.jit(lambda v, x: self.model.apply(v, x)["restored"])
        self.program = apply.lower(self.variables, self.mosaic).compile()
        self.compile_seconds = time.perf_counter() - begin

    def __call__(self) -> Any:
        return self.jax.block_until_ready(self.program(self.variables, self.mosaic))

    def blocks(self) -> dict[str, StepHooks]:
        inputs: dict[str, tuple[Any, ...]] = dict.fromkeys(("lse", "mse", "hse"), (self.mosaic,))
        run = {name: self._block(name) for name in BLOCKS}
        lse, mse, hse = (run[name](*inputs[name]) for name in ("lse", "mse", "hse"))
        inputs |= {"fb1": (mse, hse), "fb2": (lse, run["fb1"](mse, hse))}
        return {name: lambda n=name: self.jax.block_until_ready(run[n](*inputs[n])) for name in BLOCKS}

    def _block(self, name: str) -> Callable[..., Any]:
        apply = self.jax.jit(lambda v, *x: self.model.apply(v, *x, method=name))
        return lambda *x: apply(self.variables, *x)


class Peer:
    """PyTorch on the same mosaic."""

    def __init__(self, state_dict: dict[str, np.ndarray], size: str, dtype: str, *, device: str, compiled: bool):
        import torch
        from peers.red_torch import RedPeer

        self.torch = torch
        self.network = RedPeer(state_dict, device=device, dtype=dtype)
        self.run = torch.compile(self.network.forward) if compiled else self.network.forward
        mosaic = torch.from_numpy(mosaic_of(size).transpose(0, 3, 1, 2))
        self.mosaic = mosaic.to(device=device, dtype=getattr(torch, dtype))

    def __call__(self) -> Any:
        with self.torch.inference_mode():
            return self._wait(self.run(self.mosaic))

    def blocks(self) -> dict[str, StepHooks]:
        net = self.network
        with self.torch.inference_mode():
            x2 = self.torch.nn.functional.pixel_unshuffle(self.mosaic, 2)
            lse, mse, hse = net.lse(x2), net.mse(x2), net.hse(x2)
            inputs = {"lse": (x2,), "mse": (x2,), "hse": (x2,), "fb1": (mse, hse), "fb2": (lse, net.fb1(mse, hse))}
        return {name: lambda n=name: self._block(getattr(net, n), inputs[n]) for name in BLOCKS}

    def _block(self, function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
        with self.torch.inference_mode():
            return self._wait(function(*inputs))

    def _wait(self, out: Any) -> Any:
        if out.is_cuda:
            self.torch.cuda.synchronize()
        return out


def measure(size: str, dtype: str, options: argparse.Namespace) -> dict[str, Any]:
    """One row."""
    import jax

    variables, state_dict = load_weights(options.weights)
    ours = Ours(variables, size, dtype)
    turns: dict[str, Any] = {"ours": ours}
    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    if HAS_TORCH:
        turns["torch"] = Peer(state_dict, size, dtype, device=device, compiled=False)
        if device == "cuda":
            turns["torch.compile"] = Peer(state_dict, size, dtype, device=device, compiled=True)
    row: dict[str, Any] = {"size": size, "dtype": dtype, "compile_seconds": ours.compile_seconds}
    row["seconds"] = medians(turns, options.rounds)
    if HAS_TORCH:
        theirs = turns["torch"]().float().cpu().numpy().transpose(0, 2, 3, 1)
        row["difference"] = float(np.abs(np.asarray(ours(), np.float32) - theirs).max())
    row["blocks"] = {name: medians(turn.blocks(), options.rounds) for name, turn in turns.items() if "." not in name}
    if options.profile:
        with jax.profiler.trace(options.profile):
            ours()
    return row


def alone(options: argparse.Namespace) -> None:
    """Prints the peak memory in bytes of one candidate, as a process of its own."""
    dtype = options.dtypes[0]
    variables, state_dict = load_weights(options.weights)
    if options.alone == "ours":
        peak = peak_memory(lambda size: Ours(variables, size, dtype), options.sizes[0], of_gpu=peak_of_jax)
    else:
        import jax
        import torch

        torch.set_num_threads(options.threads)
        device = "cuda" if jax.default_backend() == "gpu" else "cpu"
        peak = peak_memory(
            lambda size: Peer(state_dict, size, dtype, device=device, compiled=False),
            options.sizes[0],
            of_gpu=torch.cuda.max_memory_allocated,
        )
    print(json.dumps(peak))


def peak_alone(which: str, size: str, dtype: str, options: argparse.Namespace) -> int:
    command = [sys.executable, __file__, "--alone", which, "--sizes", size, "--dtypes", dtype]
    command += ["--threads", str(options.threads)] + (["--weights", options.weights] if options.weights else [])
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def report(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| mosaic | type | | ms | ratio | frames/s | peak GiB |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        first = row["seconds"].get("torch", row["seconds"]["ours"])
        for name, seconds in row["seconds"].items():
            peak = row.get("peak", {}).get(name)
            memory = "" if peak is None else f"{peak / 2**30:.2f}"
            lines.append(
                f"| {row['size']} | {row['dtype']} | {name} | {1e3 * seconds:.1f} | {first / seconds:.2f} "
                f"| {1 / seconds:.2f} | {memory} |"
            )
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
        return alone(options)
    import jax

    from ultrabm_jax.layers.complexity import count_convolution_macs, count_parameters
    from ultrabm_jax.models import create_model

    print(heading(threads=options.threads))
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
                kinds = {"ours": "ours", "torch": "peer"} if HAS_TORCH else {"ours": "ours"}
                row["peak"] = {name: peak_alone(which, size, dtype, options) for name, which in kinds.items()}
            print(json.dumps(row), file=sys.stderr, flush=True)
            rows.append(row)
    print()
    print(report(rows))


if __name__ == "__main__":
    main()
