"""Run by test_processes.py, in one process or several: trains the tiny network, then evaluates a run.

several.py TRAIN_WORKDIR OVERRIDES SECONDS_PER_STEP [EVALUATED_WORKDIR OUTPUT]
"""

from __future__ import annotations

import json
import sys

from tiny import digest, slow_down, tiny_config

from ultrabm_jax import cli
from ultrabm_jax.evaluation import evaluate
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.distributed import initialize_distributed


def main(workdir: str, overrides: str, pause: str, *evaluation: str) -> None:
    config = tiny_config(**json.loads(overrides))
    initialize_distributed(config.distributed)
    slow_down(float(pause))
    state = train_and_evaluate(config, workdir)
    whole = [leaf for leaf in (state.step, state.params["last"]["kernel"]) if leaf.is_fully_replicated]
    print(digest(whole))
    if evaluation and int(state.step) == config.train.steps:
        evaluate(config, *evaluation, checkpoint="latest")


if __name__ == "__main__":
    sys.exit(cli.run(lambda: main(*sys.argv[1:])))
