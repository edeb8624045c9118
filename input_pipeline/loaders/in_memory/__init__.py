"""Keeps the decoded data set in device memory; crops, flips and synthetic darkness are part of the jitted step.

Needs neither TensorFlow nor host work during training: a step depends only on its number. Batches have the same
distribution as those of the host loaders but not the same bits, because JAX's generator draws the numbers.
"""

from input_pipeline.loaders.in_memory.feed import MemoryFeed

__all__ = ["MemoryFeed"]
