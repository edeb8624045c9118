"""The card of a bundled model, in Markdown: what a run and its evaluations record, with marks for the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from ultrabm_jax.inference.runs import Run
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.metrics.score_table import Scores, Value
from ultrabm_jax.pretrained.cards import LICENCE, SPEED
from ultrabm_jax.report.summary import Summary, incomplete_counts, methods_of

MARK = "[TO WRITE: {}]"
MARKS = re.compile(r"\[TO WRITE\b[^\]]*\]?")


def write_card(name: str, run: Run, metadata: Mapping[str, Any], evaluations: Sequence[Summary]) -> str:
    """The text of NAME.md; `metadata` is the content of NAME.json (Any: parsed JSON)."""
    results = [_results(summary, run) for summary in evaluations]
    parts = [
        f"# {name}",
        _mark("one sentence: what the model is for"),
        _properties(run),
        "## Data and licence",
        f"Trained on {_data(metadata['config']['data'])}.",
        _mark("the training images, their number, source and licence"),
        f"{LICENCE} {_mark('the licence of these weights')}",
        "## Training",
        _mark("the complete command and the hardware"),
        _training(run, metadata),
        "## Results",
        *_speeds(evaluations),
        *(results or [_mark("protocols and values on named sets, from eval.py; use --evaluation")]),
        "## Failure cases",
        _mark("what goes wrong, with images"),
    ]
    return "\n\n".join(parts) + "\n"


def find_marks(card: str) -> list[str]:
    """The marks of text that is still to be written."""
    return MARKS.findall(card)


def _mark(what: str) -> str:
    return MARK.format(what)


def _properties(run: Run) -> str:
    parameters = sum(leaf.size for leaf in jax.tree.leaves(run.variables["params"]))
    model = run.config.model
    variant = f" ({model.variant})" if "variant" in model else ""
    return _table(
        ["model", "scale", "input", "trained parameters"],
        [[f"{model.name}{variant}", f"x{model.scale}", run.task.input_kind, f"{parameters:,}"]],
    )


def _data(data: Mapping[str, Any]) -> str:
    if data.get("mixture"):
        return "a mixture: " + ", ".join(f"`{dataset}` (weight {weight})" for dataset, weight, *_ in data["mixture"])
    return f"`{data['dataset']}`"


def _training(run: Run, metadata: Mapping[str, Any]) -> str:
    train, selection = run.config.train, metadata["selection"]
    metric = run.config.eval.best
    average = f"the moving average (decay {train.ema_decay}) of" if train.ema_decay else "the parameters of"
    scores = ", ".join(f"{protocol} {_value(value)}" for protocol, value in selection["scores"].items())
    started = f" The run started from `{metadata['config']['train']['init_from']}`." if train.init_from else ""
    assert run.evaluated is not None  # NAME.json has the evaluation set
    warning = " **Test images chose it: its results on them are too good.**" if run.evaluated.is_test else ""
    hours = metadata["hours"]
    time = "" if hours is None else f" Training up to this step took about {hours:.1f} hours, without evaluation."
    chosen = f"{run.evaluated.dataset} {run.evaluated.split}{_count(run.evaluated.count)}"
    versions = ", ".join(f"{package} {version}" for package, version in metadata["versions"].items())
    return (
        f"Weights: {average} step {run.step:,} of {train.steps:,}, chosen by the best {metric} on {chosen}: "
        f"{scores}.{warning}{time}{started}\n\n"
        f"Versions: {versions}. The config is in the JSON file beside this card."
    )


def _speeds(evaluations: Sequence[Summary]) -> list[str]:
    """A line with the run time, if an evaluation measured it."""
    for summary in evaluations:
        if speed := summary.get("speed"):
            return [f"{SPEED} {speed['input']} pixels in {speed['milliseconds']} ms on {speed['device']}."]
    return []


def _results(summary: Summary, run: Run) -> str:
    """A table of one evaluation: a row for each method, a column for each protocol."""
    assert run.evaluated is not None
    protocols = list(summary["mean"])
    split = summary.get("split", "evaluation images")
    title = f"### {summary['dataset']} {split}{_count(summary['count'])}"
    methods: dict[str, Scores] = methods_of(summary, summary["model"])
    rows = [[method, *(_value(scores.get(each)) for each in protocols)] for method, scores in methods.items()]
    chosen = f"The checkpoint was chosen on {run.evaluated.dataset} {run.evaluated.split}."
    notes = [f"Restored images are not aligned to the references. {chosen}"]
    selection = summary.get("selection")
    if selection is not None and selection["on_measured_images"]:
        notes.append("**The measured images chose the checkpoint: the model's row is too good.**")
    notes += [f"{line}." for line in incomplete_counts(summary)]
    if failed := summary.get("failed"):
        notes.append(f"{len(failed)} images could not be read or restored.")
    header = ["method", *(f"{each} {_arrow(each)}".strip() for each in protocols)]
    return "\n\n".join([title, _table(header, rows), " ".join(notes)])


def _arrow(protocol: str) -> str:
    better = METRICS[protocol].higher_is_better if protocol in METRICS else None
    return "" if better is None else "↑" if better else "↓"


def _count(count: int | None) -> str:
    return "" if count is None else f" ({count} image{'s' if count != 1 else ''})"


def _value(value: Value) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.4g}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
