"""Time, memory and arithmetic of one UltraBM training step: python benchmarks/ultrabm_step.py [--stages 8x128 1x384]

For each compute type and (batch, patch), the train step of configs/ultrabm_rellisur_x2.py is compiled and run on random
images; times are the median of `--repeats` steps after two warm-up steps. TensorFlow is not needed. Prints one line of
JSON per case: seconds, images/s, teraflops by the compiled program's cost analysis, bytes by its memory analysis.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from configs import ultrabm_rellisur_x2
from ultrabm_jax.methods import create_method
from ultrabm_jax.stages import Stage
from ultrabm_jax.training.sharding import global_batch, make_mesh
from ultrabm_jax.training.step import compile_step, init_sharded_state


def measure(*, batch: int, patch: int, dtype: str, variant: str, remat: bool, repeats: int) -> dict[str, str | float]:
    """The measurements of one case."""
    config = ultrabm_rellisur_x2.get_config()
    config.model.update({"dtype": dtype, "variant": variant, "remat": remat})
    mesh, method = make_mesh(config.mesh), create_method(config)
    state, shardings = init_sharded_state(method, config, Stage(0, 1, batch, patch), mesh)
    rng, scale = np.random.default_rng(0), config.model.scale
    images = {
        "low": rng.random((batch, patch, patch, 3), np.float32),
        "reference": rng.random((batch, scale * patch, scale * patch, 3), np.float32),
    }
    arrays, key = global_batch(images, mesh), jax.random.key(0)
    begin = time.perf_counter()
    step = compile_step(method.train_step, mesh, shardings, input_kind="rgb").lower(state, arrays, key).compile()
    compile_seconds = time.perf_counter() - begin
    seconds = []
    for _ in range(repeats + 2):
        begin = time.perf_counter()
        state, metrics = step(state, arrays, key)
        jax.block_until_ready((state, metrics))
        seconds.append(time.perf_counter() - begin)
    median = statistics.median(seconds[2:])
    cost, memory = step.cost_analysis(), step.memory_analysis()
    return {
        "batch": batch,
        "patch": patch,
        "dtype": dtype,
        "variant": variant,
        "remat": remat,
        "seconds": round(median, 4),
        "images_per_second": round(batch / median, 1),
        "teraflop": round(cost.get("flops", 0) / 1e12, 3),
        "teraflops": round(cost.get("flops", 0) / median / 1e12, 1),
        "temporary_gib": round(memory.temp_size_in_bytes / 2**30, 2),
        "arguments_gib": round(memory.argument_size_in_bytes / 2**30, 2),
        "compile_seconds": round(compile_seconds, 1),
        "loss": float(metrics["loss/total"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", default=["8x128"], help="BATCHxPATCH")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--variant", default="base")
    parser.add_argument("--remat", action="store_true")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    device = jax.devices()[0]
    print(json.dumps({"device": device.device_kind, "devices": jax.device_count(), "jax": jax.__version__}))
    for stage in options.stages:
        batch, patch = map(int, stage.split("x"))
        for dtype in options.dtypes:
            case = {"batch": batch, "patch": patch, "dtype": dtype, "variant": options.variant}
            print(json.dumps(measure(**case, remat=options.remat, repeats=options.repeats)), flush=True)


if __name__ == "__main__":
    main()
