"""Batches from a source: on the host (tf.data or threads), on the device (in_memory), and for evaluation."""
