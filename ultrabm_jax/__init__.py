"""Restoring images taken in the dark, in JAX and Flax. Importing this package does not import TensorFlow."""
