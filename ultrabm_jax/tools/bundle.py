"""Makes a bundled model of a training run: weights, metadata and a card.

python -m ultrabm_jax.tools.bundle --workdir W --name NAME --output ultrabm_jax/pretrained
                                   [--evaluation EVAL/metrics.json ...] [--dtype float16] [--allow-test] [--overwrite]

The parameters are the moving average (if the run has one) of the checkpoint that is best on validation images. With
--dtype float16 they are rounded and the file has half the size; they are computed with in float32 all the same. A
checkpoint without a score is refused, and so is one that the test images chose, unless --allow-test is given. The card
contains what the run and its evaluations record; text that must be written by hand is marked. Absolute paths in the
config are replaced by their last part.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ultrabm_jax.buckets import AnyPath, open_path
from ultrabm_jax.cli import command_parser, local_path, run
from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.pretrained import FINGERPRINT, fingerprint, load_bundle, to_arrays
from ultrabm_jax.inference.runs import Run, load_run
from ultrabm_jax.logging import logger
from ultrabm_jax.pretrained import CARD, MAX_BYTES, METADATA, WEIGHTS
from ultrabm_jax.report.summary import Summary
from ultrabm_jax.report.training_log import read_log
from ultrabm_jax.stages import progressive_stages
from ultrabm_jax.storage.safetensors_file import save_safetensors
from ultrabm_jax.tools.card import find_marks, write_card
from ultrabm_jax.training.scores import read_scores

NAME = re.compile(r"[a-z][a-z0-9_]*")
ABSOLUTE = re.compile(r"(^|:)(?:/|~)[^:]*?([^/:]*)/*(?=$|:)")  # a path, alone or in "DATASET:PATH"


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser("python -m ultrabm_jax.tools.bundle", __doc__)
    flags.add_argument("--workdir", required=True, help="folder or gs:// URL of the training run")
    flags.add_argument("--name", required=True, help="of the model: lower-case letters, digits and underscores")
    flags.add_argument("--output", required=True, type=local_path, help="folder of the three files")
    flags.add_argument(
        "--evaluation",
        type=local_path,
        nargs="+",
        metavar="FILE",
        help="metrics.json of evaluations of this checkpoint (default: WORKDIR/eval/metrics.json if it exists)",
    )
    flags.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="of the file")
    flags.add_argument("--allow-test", action="store_true", help="accept a checkpoint that the test images chose")
    flags.add_argument("--overwrite", action="store_true", help="replace files of this name")
    return flags


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    args = parser().parse_args(argv)
    if not NAME.fullmatch(args.name):
        raise UserError(f"--name {args.name!r}: a name has lower-case letters, digits and underscores")
    targets = {suffix: args.output / f"{args.name}{suffix}" for suffix in (WEIGHTS, METADATA, CARD)}
    for target in targets.values():
        if target.exists() and not args.overwrite:
            raise UserError(f"{target} exists; --overwrite replaces it, with the text written by hand")
    workdir = open_path(args.workdir)
    trained = load_best(workdir, allow_test=args.allow_test)
    default = workdir / "eval" / "metrics.json"
    files = args.evaluation or ([default] if default.exists() else [])
    evaluations = [read_evaluation(file, trained) for file in files]
    write_weights(targets[WEIGHTS], trained, dtype=args.dtype)
    metadata = make_metadata(workdir, trained)
    write_metadata(targets[METADATA], metadata)
    bundled = load_bundle(targets[WEIGHTS])  # raises UserError if the files do not fit each other
    metadata[FINGERPRINT] = fingerprint(targets[WEIGHTS], metadata["config"])
    write_metadata(targets[METADATA], metadata)
    card = write_card(args.name, bundled, metadata, evaluations)
    targets[CARD].write_text(card, encoding="utf-8")
    size = targets[WEIGHTS].stat().st_size / 1e6
    logger.info("%s: %.2f MB, step %s, %s", targets[WEIGHTS], size, f"{trained.step:,}", trained.reason)
    logger.info("%s: %d texts to write by hand", targets[CARD], len(find_marks(card)))
    return 0


def load_best(workdir: AnyPath, *, allow_test: bool = False) -> Run:
    """The run at its best checkpoint. Raises UserError if no scores, or scores on test images, chose it."""
    trained = load_run(workdir, best=True)
    assert trained.evaluated is not None  # `best` without `or_newest`
    if trained.evaluated.is_test and not allow_test:
        raise UserError(
            f"{workdir}: test images chose step {trained.step} ({trained.evaluated}), so its results on them are too "
            "good; evaluate validation images in training (data.eval_split=auto), or give --allow-test"
        )
    return trained


def read_evaluation(path: AnyPath, trained: Run) -> Summary:
    """A metrics.json of the model. Raises UserError if it measures another model or checkpoint, or is damaged."""
    try:
        summary: Summary = json.loads(path.read_text(encoding="utf-8"))
        measured = (summary["config"]["model"]["name"], summary["scale"], summary.get("step"))
        _ = summary["mean"], summary["baselines"], summary["dataset"], summary["count"]
    except OSError as error:
        raise UserError(f"--evaluation {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"--evaluation {path} is not a metrics.json of eval.py: {error!r}") from error
    expected = (trained.config.model.name, trained.config.model.scale, trained.step)
    if measured != expected:
        raise UserError(
            f"--evaluation {path} is of {measured[0]} x{measured[1]} at step {measured[2]}; the checkpoint is of "
            f"{expected[0]} x{expected[1]} at step {expected[2]}: run eval.py again"
        )
    return summary


def write_weights(path: Path, trained: Run, *, dtype: str = "float32") -> None:
    """Writes NAME.safetensors. Raises UserError, writing nothing, if the model is too large to be bundled.

    dtype: "float16" rounds the float32 arrays.
    """
    arrays = {name: _stored(array, dtype) for name, array in to_arrays(trained.variables).items()}
    if (size := sum(array.nbytes for array in arrays.values())) > MAX_BYTES:
        raise UserError(f"{path.name} would have {size / 1e6:.1f} MB; a bundled model has at most {MAX_BYTES / 1e6} MB")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_safetensors(path, arrays)


def _stored(array: np.ndarray, dtype: str) -> np.ndarray:
    return array.astype(dtype) if array.dtype == np.float32 else array


def make_metadata(workdir: AnyPath, trained: Run) -> dict[str, Any]:
    """The content of NAME.json."""
    assert trained.evaluated is not None
    scores = read_scores(workdir / "checkpoints" / str(trained.step))
    saved = json.loads((workdir / "config.json").read_text())
    return {
        "config": without_paths(json.loads(trained.config.to_json_best_effort())),
        "versions": saved["versions"],
        "step": trained.step,
        "hours": training_hours(workdir, trained),
        "selection": {
            "reason": trained.reason,
            "scores": scores,
            "evaluation_set": dataclasses.asdict(trained.evaluated),
        },
    }


def write_metadata(path: Path, metadata: dict[str, Any]) -> None:
    """Writes NAME.json."""
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def training_hours(workdir: AnyPath, trained: Run) -> float | None:
    """Time of the training steps up to the checkpoint, by the rates in train.jsonl; None without such a file.

    Evaluation and the writing of checkpoints are not included.
    """
    config = trained.config
    sizes = {"batch_size": config.data.batch_size, "patch_size": config.data.patch_size}
    stages = progressive_stages(config.train.stages, steps=config.train.steps, **sizes)
    seconds, previous = 0.0, 0.0
    rates = read_log(workdir / "train.jsonl").get("images_per_second", [])
    for step, rate in rates:
        if rate <= 0:  # logged directly after an evaluation: the next rate covers these steps
            continue
        last = min(step, trained.step)
        overlaps = ((min(stage.stop, last) - max(stage.start, previous), stage.batch_size) for stage in stages)
        seconds += sum(max(0.0, steps) * batch_size for steps, batch_size in overlaps) / rate
        previous = last
    return seconds / 3600 if seconds else None


def without_paths(value: Any) -> Any:  # Any: parsed JSON
    """`value` with absolute paths in its strings replaced by their last parts."""
    match value:
        case str():
            return ABSOLUTE.sub(r"\1\2", value)
        case dict():
            return {name: without_paths(each) for name, each in value.items()}
        case list():
            return [without_paths(each) for each in value]
    return value


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
