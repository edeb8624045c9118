"""From image files to batches: the only room that touches data sets (and, lazily, TensorFlow).

source = open_source(config.data, scale=2, split="train")
for batch in train_batches(source, seed=100, start_step=0, stop_step=1000, batch_size=8, patch_size=128): ...
"""

from input_pipeline.datasets import open_source
from input_pipeline.eval_batches import eval_batches
from input_pipeline.loader import train_batches
from input_pipeline.source import PairSource

__all__ = ["PairSource", "eval_batches", "open_source", "train_batches"]
