"""Evaluates a small network on made-up pairs: python on_devices.py OUTPUT PROCESS PROCESSES PORT."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import jax

if __name__ == "__main__":
    output, process, processes, port = sys.argv[1], *map(int, sys.argv[2:])
    if processes > 1:
        jax.distributed.initialize(f"localhost:{port}", num_processes=processes, process_id=process)

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

import input_pipeline
from input_pipeline.sources.base import PairSource
from ultrabm_jax.config import default_config as get_config
from ultrabm_jax.evaluation import evaluate, evaluator
from ultrabm_jax.inference.runs import Run
from ultrabm_jax.models.task import Task


class Network(nn.Module):
    """x2; convolutions and a mean over the image."""

    scale: int = 2

    @nn.compact
    def __call__(self, low):
        x = jnp.tanh(nn.Conv(8, (3, 3))(low))
        x = nn.Conv(12, (3, 3))(x + x.mean((1, 2), keepdims=True))
        b, h, w, _ = x.shape
        shuffled = x.reshape(b, h, w, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, 3)
        return {"restored": jnp.clip(0.5 + 0.2 * shuffled, 0, 1)}


class Source(PairSource):
    """Eleven pairs of two sizes."""

    scale = 2
    crop = arrays = None

    def __len__(self):
        return 11

    def name(self, i):
        return f"p{i:02d}"

    def group(self, i):
        return ("-2.5", "-5.0")[i % 2]

    def size(self, i):
        return (18, 24) if i % 3 else (20, 22)

    def pair(self, i):
        rng, (h, w) = np.random.default_rng(i), self.size(i)
        return rng.integers(0, 60, (h, w, 3), np.uint8), rng.integers(0, 256, (2 * h, 2 * w, 3), np.uint8)


if __name__ == "__main__":
    config = get_config()
    config.eval.update({"protocols": ("psnr_rgb", "ssim_rgb", "rmse"), "speed": False})
    model = Network()
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    run = Run(config, Task(model, name="ultrabm"), variables, 1, "the newest")
    evaluator.load_trained = lambda workdir, checkpoint: run
    input_pipeline.open_source = lambda data, *, scale, split, left_out: Source()
    evaluate(config, output, output)
