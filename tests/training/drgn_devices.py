"""Run by test_sharding.py with eight virtual devices: both phases of LW-DRGN on several meshes. Prints one JSON object.

It reads no files.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import two_phases
from eight_devices import MESHES, STEPS, apart, mesh_of

from ultrabm_jax.methods import create_method
from ultrabm_jax.stages import Stage
from ultrabm_jax.training import sharding
from ultrabm_jax.training.step import compile_step, init_sharded_state

BATCH, SIDE = 8, 32


def main() -> None:
    """{mesh: [{"metrics", "apart"} of each phase]}."""
    shape, report, alone = (BATCH, SIDE, SIDE, 3), {}, []
    for name, sizes in MESHES.items():
        config = two_phases.settings(Path("none"), **{"data.batch_size": BATCH, "data.patch_size": SIDE})
        method, mesh, found = create_method(config), mesh_of(sizes), []
        for phase in range(2):  # each from the initial state
            state, shardings = init_sharded_state(method, config, Stage(0, STEPS, BATCH, SIDE), mesh)
            phases = method.phases(state)
            step = compile_step(phases[sorted(phases)[phase]], mesh, shardings, input_kind="rgb")
            rng, logged = np.random.default_rng(0), []
            for _ in range(STEPS):
                batch = {key: rng.uniform(0, 1, shape).astype(np.float32) for key in ("low", "reference", "photo")}
                state, metrics = step(state, sharding.global_batch(batch, mesh), jax.random.key(7))
                logged.append({key: float(value) for key, value in metrics.items()})
            networks = {"params": state.params, "critics": state.opt_state.discriminator_params}
            alone += [networks] * (name == "one")
            found.append({"metrics": logged, "apart": apart(networks, alone[phase])})
        report[name] = found
    print(json.dumps(report))


if __name__ == "__main__":
    main()
