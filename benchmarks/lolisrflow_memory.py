"""Memory of one LoLiSRFlow training step for each rematerialisation mode.

    python benchmarks/lolisrflow_memory.py [--scale 2] [--batch 16] [--remat none steps inverse]

The step of configs/lolisrflow_rellisur_xS.py with its batch and patch size (160x160 pixels of the reference, as LLFlow;
the paper states none) is compiled but not run: bytes are those of the compiled program's memory analysis, on any
machine that can compile it. Compiler optimisations are reduced, which affects speed but not buffers. Prints one line of
JSON per case.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ultrabm_jax.methods import create_method

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def measure(*, scale: int, batch: int | None, variant: str, remat: str) -> dict[str, str | float]:
    """The bytes of one case: parameters and moments, temporary buffers of a step, and their sum."""
    config = importlib.import_module(f"configs.lolisrflow_rellisur_x{scale}").get_config()
    config.model.update({"variant": variant, "remat": remat})
    batch, patch = batch or config.data.batch_size, config.data.patch_size
    method, key = create_method(config), jax.random.key(0)
    low, reference = (jax.ShapeDtypeStruct((batch, side, side, 3), jnp.float32) for side in (patch, scale * patch))
    state = jax.eval_shape(method.init, key, low).replace(frozen={})
    step = jax.jit(method.train_step, donate_argnums=0)
    lowered = step.lower(state, {"low": low, "equalised": low, "reference": reference}, key)
    memory = lowered.compile(compiler_options=QUICK if jax.default_backend() == "cpu" else None).memory_analysis()
    return {
        "scale": scale,
        "batch": batch,
        "reference": scale * patch,
        "variant": variant,
        "remat": remat,
        "state_bytes": memory.argument_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "gigabytes": round((memory.argument_size_in_bytes + memory.temp_size_in_bytes) / 1e9, 2),
        "device": jax.devices()[0].device_kind,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=2, choices=(2, 4))
    parser.add_argument("--batch", type=int, help="default: that of the config, 16")
    parser.add_argument("--variant", default="base")
    parser.add_argument("--remat", nargs="+", default=["none", "steps", "inverse"])
    args = parser.parse_args()
    for remat in args.remat:
        numbers = measure(scale=args.scale, batch=args.batch, variant=args.variant, remat=remat)
        print(json.dumps(numbers), flush=True)


if __name__ == "__main__":
    main()
