"""Deprecated name of `python -m ultrabm_jax.tools.degrade`, kept for one release."""

from __future__ import annotations

import runpy
import sys

COMMAND = "ultrabm_jax.tools.degrade"

if __name__ == "__main__":
    print(f"warning: python -m input_pipeline.degrade is now python -m {COMMAND}", file=sys.stderr)
    runpy.run_module(COMMAND, run_name="__main__", alter_sys=True)
