"""Evaluates a training run: `python eval.py --config configs/NAME.py --workdir DIR [--output DIR]`.

Without --workdir, evaluates only the methods of config.eval.baselines.
"""

from __future__ import annotations

from absl import flags

from ultrabm_jax import cli

_CONFIG = cli.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the training run; none: only config.eval.baselines.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the results; default: WORKDIR/eval.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "best, latest or a step.")


def main() -> int:
    """Runs the evaluation and prints its table; all results are also written to files.

    Exit status: 1 if an image could not be read or restored.
    """
    import jax

    from ultrabm_jax.evaluation import evaluate  # slow: errors in flags come first
    from ultrabm_jax.report import text_table
    from ultrabm_jax.training.distributed import initialize_distributed

    initialize_distributed(_CONFIG.value.distributed)
    cli.require_devices()
    summary = evaluate(_CONFIG.value, _WORKDIR.value, _OUTPUT.value, checkpoint=_CHECKPOINT.value)
    if jax.process_index() == 0:
        print(text_table(summary))
    return int(bool(summary.get("failed")))


if __name__ == "__main__":
    cli.start(main, required=("config",))
