"""A network of three convolutions in UltraBM's place, so that tests of the loop compile in a second.

It has what training sees of a network: both kinds of outputs, frozen variables, and a kernel large enough to be split.
As a script it is train.py for this network: `tiny.py WORKDIR '{"train.steps": 4, ...}' [SECONDS_PER_STEP]`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import input_pipeline
from ultrabm_jax import cli
from ultrabm_jax.config import default_config as get_config
from ultrabm_jax.methods import METHODS, UltraBMMethod
from ultrabm_jax.models import MODELS, Entry
from ultrabm_jax.models.ultrabm.task import UltraBMTask
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.typing import HostBatch, PyTree


class Tiny(nn.Module):
    """Takes UltraBM's options; only scale, stream, semantic and gray_mode change something."""

    scale: int = 2
    semantic: str = "none"
    semantic_input: str = "x"
    stream: str = "dual"
    second_stream_input: str = "v"
    input_maps: bool = False
    isdm: str = "none"
    upsampler: str = "bilinear"
    fsi: bool = True
    heads: int = 2
    query: str = "dense"
    rsmu_branches: str = "scale"
    rsmu_down: str = "pointwise"
    gray_mode: str = "luma"
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    @property
    def has_semantic(self) -> bool:
        return self.semantic != "none"

    def _gain(self, key: jax.Array) -> dict[str, jax.Array]:
        return {"gain": jax.random.uniform(key, (3,), minval=0.5)}

    @nn.compact
    def __call__(self, low: jax.Array) -> dict[str, jax.Array]:
        out, x = {}, low
        if self.has_semantic:
            gain = self.variable("frozen", "semantic", lambda: self._gain(self.make_rng("params"))).value["gain"]
            x = x * gain
        if self.stream == "dual":
            u = nn.sigmoid(nn.Conv(1, (3, 3), name="illumination")(x))
            out = {"illumination": u, "reflection_unclipped": x / u, "reflection": jnp.clip(x / u, 0, 1)}
            x = out["reflection"]
        x = nn.leaky_relu(nn.Conv(64, (3, 3), name="first")(x))
        x = nn.leaky_relu(nn.Conv(64, (3, 3), name="second")(x))
        x = jnp.repeat(jnp.repeat(x, self.scale, axis=1), self.scale, axis=2)
        return out | {"restored": nn.Conv(3, (3, 3), name="last")(x)}


MODELS["tiny"] = Entry(
    Tiny, UltraBMTask, presets={"variant": {"small": {}}, "compat": {"paper": {}, "ultrais": {"gray_mode": "inv_half"}}}
)
METHODS["tiny"] = UltraBMMethod

DEFAULTS = {
    "model.name": "tiny",
    "model.variant": "small",
    "model.semantic": "none",
    "model.semantic_init": "random",
    "loss.lambda_p": 0.0,
    "data.loader": "threads",
    "data.workers": 1,
    "data.batch_size": 4,
    "data.patch_size": 16,
    "train.steps": 8,
    "train.learning_rate": 1e-3,
    "train.ema_decay": 0.5,
    "eval.every": 4,
    "eval.panels": 1,
    "checkpoint.every": 2,
    "log_every": 1,
}


def tiny_config(**overrides: object) -> ConfigDict:
    """The defaults with `DEFAULTS`, then `overrides`; dots in names may be written as two underscores."""
    config = get_config()
    named = {name.replace("__", "."): value for name, value in overrides.items()}
    config.update_from_flattened_dict(DEFAULTS | named)
    return config


def digest(tree: PyTree) -> str:
    """A hash that is equal for bitwise equal trees."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    parts = [jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes() for path, leaf in leaves]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def slow_down(seconds: float) -> None:
    """Delays each batch by `seconds`, so that a test has time to kill the process."""
    batches = input_pipeline.train_batches

    def slow(*args: object, **kwargs: object) -> Iterator[HostBatch]:
        for batch in batches(*args, **kwargs):
            time.sleep(seconds)
            yield batch

    input_pipeline.train_batches = slow


def main(workdir: str, overrides: str, pause: str = "0") -> int:
    """Trains, slowed down."""
    slow_down(float(pause))
    return cli.run(lambda: print(digest(train_and_evaluate(tiny_config(**json.loads(overrides)), workdir).saved())))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
