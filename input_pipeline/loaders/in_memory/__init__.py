"""A data set that lies decoded in device memory; crops, flips and synthetic darkness are part of the jitted step.

Needs no TensorFlow and no host: after the set is loaded, a training step takes nothing but its number. Batches have the
distribution of the other loaders' but not their bits, since the numbers come from JAX's generator.
"""

from input_pipeline.loaders.in_memory.feed import MemoryFeed

__all__ = ["MemoryFeed"]
