"""Random variables of a network for the benchmarks: those of `ultrabm-jax speed`."""

from __future__ import annotations

from ultrabm_jax.evaluation.random_variables import draw_variables

__all__ = ["draw_variables"]
