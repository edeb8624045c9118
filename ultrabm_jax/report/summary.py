"""The content of metrics.json. It is strict JSON: an infinite value is the string "inf", a missing one null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypeAlias, TypedDict

Value: TypeAlias = float | str | None  # a score: a number, "inf" or "-inf", or None where it is not available
Scores: TypeAlias = Mapping[str, Value]  # protocol: score
Config: TypeAlias = Mapping[str, Any]  # a config as JSON: its fields hold values of any JSON type


class GroupSummary(TypedDict):
    """Mean scores of one group of images, such as an exposure level."""

    count: int
    mean: Scores
    baselines: Mapping[str, Scores]  # method: scores


class Summary(TypedDict):
    """The keys of metrics.json; `mean`, `std` and `ci95` are those of the first method, `model`."""

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
    ci95: NotRequired[Mapping[str, list[float] | None]]  # bootstrap interval of the mean
    groups: NotRequired[Mapping[str, GroupSummary]]
    unavailable: NotRequired[Mapping[str, str]]  # protocol: reason
    speed: NotRequired[Mapping[str, object] | None]  # parameters, arithmetic and time of the model
    processes: NotRequired[int]


def methods_of(part: Summary | GroupSummary, model: str) -> dict[str, Scores]:
    """{method: mean scores} of all images or of a group, `model` first."""
    return {model: part["mean"], **part["baselines"]}
