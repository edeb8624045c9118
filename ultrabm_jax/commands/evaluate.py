"""Evaluates a training run: `python eval.py --workdir DIR [--output DIR] [--config.field=value ...]`.

The config is DIR/config.json unless --config names another. With --config and without --workdir, evaluates only the
methods of config.eval.baselines.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from absl import flags

from ultrabm_jax import cli
from ultrabm_jax.config_flags import define_config, run_with_flags

RUN_CONFIG = str(Path(__file__).with_name("run_config.py"))


def main(_: Sequence[str] | None = None) -> NoReturn:
    """Evaluates with the flags of `sys.argv`, prints the table and exits the process.

    All results are also written to files. Exit status: 1 if an image could not be read or restored.
    """
    config = define_config()
    workdir = flags.DEFINE_string("workdir", None, "Folder or gs:// URL of the run; none: only config.eval.baselines.")
    output = flags.DEFINE_string("output", None, "Folder of the results; default: WORKDIR/eval.")
    checkpoint = flags.DEFINE_string("checkpoint", "best", "best, latest or a step.")

    def evaluate_run() -> int:
        cli.require_local_path(output.value or "", "--output")
        import jax

        from ultrabm_jax.evaluation import evaluate  # slow: errors in flags come first
        from ultrabm_jax.report import text_table
        from ultrabm_jax.training.distributed import initialize_distributed

        initialize_distributed(config.value.distributed)
        cli.require_devices()
        summary = evaluate(config.value, workdir.value, output.value, checkpoint=checkpoint.value)
        if jax.process_index() == 0:
            print(text_table(summary))
        return int(bool(summary.get("failed")))

    run_with_flags(evaluate_run, required=("config",), description=__doc__, run_config=RUN_CONFIG)
