"""Run by test_processes.py, in one process or several: trains the tiny network, then evaluates a run.

several.py TRAIN_WORKDIR OVERRIDES SECONDS_PER_STEP [EVALUATED_WORKDIR OUTPUT]

$FAILING_BATCH: the batch, from 0, that the second process cannot load.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import jax
from tiny import digest, slow_down, tiny_config

import input_pipeline
from ultrabm_jax import cli
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation import evaluate
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.distributed import initialize_distributed


def fail_at(number: int) -> None:
    """Lets the loader of the second process fail at this batch."""
    load = input_pipeline.train_batches

    def failing(*args: Any, start_step: int, **kwargs: Any) -> Any:
        for step, batch in enumerate(load(*args, start_step=start_step, **kwargs), start_step):
            if step == number and jax.process_index() == 1:
                raise UserError("low/3.png is damaged")
            yield batch

    input_pipeline.train_batches = failing


def main(workdir: str, overrides: str, pause: str, *evaluation: str) -> None:
    config = tiny_config(**json.loads(overrides))
    initialize_distributed(config.distributed)
    slow_down(float(pause))
    if "FAILING_BATCH" in os.environ:
        fail_at(int(os.environ["FAILING_BATCH"]))
    state = train_and_evaluate(config, workdir)
    whole = [leaf for leaf in (state.step, state.params["last"]["kernel"]) if leaf.is_fully_replicated]
    print(digest(whole))
    if evaluation and int(state.step) == config.train.steps:
        evaluate(config, *evaluation, checkpoint="latest")


if __name__ == "__main__":
    sys.exit(cli.run(lambda: main(*sys.argv[1:])))
