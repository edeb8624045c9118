"""One side of training_speed.py, in a process of its own: python worker.py ours|torch CASE.npz

For each line on standard input it does one training step and prints one line of JSON: wall-clock and processor seconds
of the step, its losses, and the process's peak memory so far. The first step includes imports and compiling. The line
"reset" forgets the peak, so that it does not contain what only compiling needed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np

from benchmarks.common.process_memory import peak_bytes, reset_peak

Step = Callable[[], dict[str, float]]


def ours(arrays: Mapping[str, np.ndarray], settings: Mapping) -> Step:
    """The compiled step of the package, as train.py runs it."""
    import jax
    import jax.numpy as jnp
    from flax.traverse_util import unflatten_dict

    from benchmarks.training.cases import Case, config_of
    from ultrabm_jax.methods import create_method
    from ultrabm_jax.methods.drgn import AdversarialState
    from ultrabm_jax.optim.state import TrainState
    from ultrabm_jax.training.sharding import global_batch, make_mesh, state_shardings
    from ultrabm_jax.training.step import compile_step

    case = Case(settings["name"], settings["size"])
    config = config_of(case.name)
    method, mesh = create_method(config), make_mesh(config.mesh)

    def part(prefix: str) -> dict:
        named = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        return unflatten_dict(named, sep="/")

    params = part("params/")
    if case.name == "lw_drgn":
        reg = method.gradient_transform.init(params["reg"])
        deg, no_critics = method.gradient_transform.init(params["deg"]), method.gradient_transform.init({})
        opt_state = AdversarialState(deg, reg, no_critics, {}, switch=jnp.asarray(0, jnp.int32))
        train_step = method.refine_step
    else:
        opt_state, train_step = method.optimizer.init(params), method.train_step
    state = TrainState(jnp.zeros((), jnp.int32), params, opt_state, ema=None, frozen=part("frozen/"))
    shardings = state_shardings(jax.eval_shape(lambda: state), mesh, small=config.mesh.min_sharded_size)
    state = jax.device_put(state, shardings)
    batch, key = global_batch(part("batch/") | part("levels/"), mesh), jax.random.key(0)
    step = compile_step(train_step, mesh, shardings, input_kind=method.task.input_kind)
    kept = [state]

    def one() -> dict[str, float]:
        kept[0], metrics = step(kept[0], batch, key)
        jax.block_until_ready((kept[0], metrics))
        return {name.removeprefix("loss/"): float(value) for name, value in metrics.items()}

    return one


def theirs(arrays: Mapping[str, np.ndarray], settings: Mapping) -> Step:
    """The same step in PyTorch."""
    import torch

    from benchmarks.peers.training_torch import TrainingPeer

    torch.set_num_threads(settings["threads"])
    return TrainingPeer(arrays, settings)


def main() -> None:
    side, path = sys.argv[1], sys.argv[2]
    with np.load(path) as file:
        arrays = dict(file)
    settings = json.loads(str(arrays.pop("settings")))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings["threads"]])
    step = {"ours": ours, "torch": theirs}[side](arrays, settings)
    arrays.clear()
    for line in sys.stdin:
        if line.strip() == "reset":
            reset_peak()
            continue
        begin, cpu = time.perf_counter(), time.process_time()
        values = step()
        times = {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu}
        print(json.dumps(times | {"losses": values, "peak": peak_bytes()}), flush=True)


if __name__ == "__main__":
    main()
