"""From image files to batches: the only package that reads data sets (and, lazily, imports TensorFlow).

source = open_source(config.data, scale=2, split="train")
for batch in train_batches(source, seed=100, start_step=0, stop_step=1000, batch_size=8, patch_size=128): ...
"""

from input_pipeline.loaders.batches import train_batches
from input_pipeline.loaders.evaluation import eval_batches
from input_pipeline.sources.base import PairSource
from input_pipeline.sources.open import open_source

__all__ = ["PairSource", "eval_batches", "open_source", "train_batches"]
