"""Restores images and camera raw files of any size with a trained or imported network."""

from ultrabm_jax.inference.restorer import Restorer

__all__ = ["Restorer"]
