"""Evaluates a training run: `python eval.py --config configs/NAME.py --workdir DIR [--output DIR]`."""

from __future__ import annotations

import sys

from absl import app, flags
from ml_collections import config_flags

from ultrabm_jax import cli
from ultrabm_jax.evaluation import evaluate
from ultrabm_jax.report import text_table

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the training run.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the results; default: WORKDIR/eval.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "best, latest or a step.")


def main(argv: list[str]) -> int:
    """Prints the table; the rest is in the files."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")

    def body() -> None:
        cli.enable_compilation_cache()
        summary = evaluate(_CONFIG.value, _WORKDIR.value or "", _OUTPUT.value, checkpoint=_CHECKPOINT.value)
        print(text_table(summary))

    return cli.run(body)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    sys.exit(app.run(main))
