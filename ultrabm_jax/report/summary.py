"""The content of metrics.json. It is strict JSON: an infinite value is the string "inf", a missing one null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypeAlias, TypedDict

from ultrabm_jax.metrics.score_table import Scores
from ultrabm_jax.typing import Options

Config: TypeAlias = Options  # a config as JSON


class PairedDifference(TypedDict):
    """The first method minus another one: mean over `count` images, and its bootstrap interval."""

    mean: float
    ci95: list[float] | None
    count: int


class GroupSummary(TypedDict):
    """Mean scores of one group of images, such as an exposure level; evaluations of earlier versions lack some."""

    count: int
    mean: Scores
    baselines: Mapping[str, Scores]  # method: scores
    intervals: NotRequired[Mapping[str, Mapping[str, list[float] | None]]]  # method: protocol: interval of the mean
    differences: NotRequired[Mapping[str, Mapping[str, PairedDifference | None]]]  # method: protocol


class Selection(TypedDict):
    """How the checkpoint of a trained model was chosen; evaluations of earlier versions lack it."""

    reason: str  # "best psnr_rgb on lol val (45 images)", "the newest", ...
    evaluation_set: Mapping[str, str | int | None] | None  # training/evaluation_set.py; None if no scores chose it
    on_measured_images: bool


class Summary(TypedDict):
    """The keys of metrics.json; `mean`, `std` and `ci95` are those of the first method, `model`.

    Means are over the images that have a score; `counts` has their number.
    """

    model: str
    dataset: str
    scale: int
    count: int
    mean: Scores
    baselines: Mapping[str, Scores]
    std: Mapping[str, float | None]
    config: Config
    versions: Mapping[str, str]
    devices: list[str]
    seconds: float
    step: NotRequired[int | None]  # of the checkpoint; None if only baselines were measured
    own_methods: NotRequired[list[str]]  # the trained model and its variants
    run_config: NotRequired[Config | None]  # the config with which the model was trained
    trained_on: NotRequired[str | None]  # the data set that it was trained on
    split: NotRequired[str]  # that was measured: train, val, test, or "eval_root NAME" for a folder of that name
    selection: NotRequired[Selection | None]  # None if only baselines were measured
    ci95: NotRequired[Mapping[str, list[float] | None]]  # bootstrap interval of the mean
    intervals: NotRequired[Mapping[str, Mapping[str, list[float] | None]]]  # the same of every method
    differences: NotRequired[Mapping[str, Mapping[str, PairedDifference | None]]]  # first method minus each other
    groups: NotRequired[Mapping[str, GroupSummary]]
    counts: NotRequired[Mapping[str, Mapping[str, int]]]  # method: protocol: images with a score
    problems: NotRequired[Mapping[str, Mapping[str, list[str]]]]  # image: reason: protocols without a score
    failed: NotRequired[list[str]]  # images that could not be read or restored, each with its reason
    unavailable: NotRequired[Mapping[str, str]]  # protocol: why no image has a score
    speed: NotRequired[Mapping[str, object] | None]  # parameters, arithmetic and time of the model
    processes: NotRequired[int]


class SpeedRecord(TypedDict):
    """An element of "speed" in the JSON file of `ultrabm-jax speed`."""

    name: str  # on the command line
    scale: int
    model: Config  # config.model, or the options of a released network, with its name
    # Values of ultrabm_jax/evaluation/speed.py; of benchmarks/red_speed.py, "block_percent": {block: share of the time}
    speed: Mapping[str, str | int | float | Mapping[str, float]]
    date: str
    versions: Mapping[str, str]


def methods_of(part: Summary | GroupSummary, model: str) -> dict[str, Scores]:
    """{method: mean scores} of all images or of a group, `model` first."""
    return {model: part["mean"], **part["baselines"]}


def intervals_of(summary: Summary) -> Mapping[str, Mapping[str, list[float] | None]]:
    """{method: protocol: interval of the mean}; earlier versions have those of the first method only."""
    return summary.get("intervals") or {summary["model"]: summary.get("ci95") or {}}


def incomplete_counts(summary: Summary) -> list[str]:
    """One line for each mean that lacks images."""
    methods, whole = summary.get("counts", {}).items(), summary["count"]
    return [
        f"{protocol} of {method} is the mean over {count} of {whole} images"
        for method, counts in methods
        for protocol, count in counts.items()
        if 0 < count < whole
    ]


def incomplete_means(summary: Summary) -> list[str]:
    """One line for each mean that lacks images, then one for each image that a mean lacks or that failed."""
    lines = incomplete_counts(summary)
    for image, reasons in summary.get("problems", {}).items():
        lines += [f"{image}: {reason} [{', '.join(protocols)}]" for reason, protocols in reasons.items()]
    return lines + [f"left out: {failed}" for failed in summary.get("failed", [])]
