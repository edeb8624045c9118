"""Run by test_processes.py, in one process or several: trains the tiny network, then evaluates a run.

several.py TRAIN_WORKDIR OVERRIDES SECONDS_PER_STEP [EVALUATED_WORKDIR OUTPUT]
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from tiny import digest, tiny_config

import input_pipeline
from ultrabm_jax import cli
from ultrabm_jax.evaluation import evaluate
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.distributed import join


def main(workdir: str, overrides: str, pause: str, *evaluation: str) -> None:
    config = tiny_config(**json.loads(overrides))
    join(config.distributed)
    batches = input_pipeline.train_batches

    def slow(*args: Any, **kwargs: Any) -> Any:
        for batch in batches(*args, **kwargs):
            time.sleep(float(pause))
            yield batch

    input_pipeline.train_batches = slow
    state = train_and_evaluate(config, workdir)
    whole = [leaf for leaf in (state.step, state.params["last"]["kernel"]) if leaf.is_fully_replicated]
    print(digest(whole))
    if evaluation and int(state.step) == config.train.steps:
        evaluate(config, *evaluation, checkpoint="latest")


if __name__ == "__main__":
    sys.exit(cli.run(lambda: main(*sys.argv[1:])))
