"""Deprecated name of `python -m ultrabm_jax.tools.degrade`, kept for one release."""

from __future__ import annotations

import runpy

from ultrabm_jax.deprecation import renamed_command
from ultrabm_jax.logging import configure_logging

if __name__ == "__main__":
    configure_logging()
    runpy.run_module(renamed_command("input_pipeline.degrade"), run_name="__main__", alter_sys=True)
