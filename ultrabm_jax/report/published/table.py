"""What a table of a paper consists of.

Values are text, as printed: one cell for each quantity, separated by spaces; within a cell one value for each
condition, separated by "/" (a single value stands for all conditions); "-" where the paper has none. A "*" points
to the notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

UNKNOWN = "unknown"
NONE = "-"


@dataclass(frozen=True)
class Condition:
    """A data set at a scale, or any data set (`dataset` None and `anywhere`); `count`: images in the whole set."""

    label: str
    dataset: str | None = None  # config.data.dataset, or None: the library has no such data set
    scale: int = 1
    split: str = "test"
    count: int | None = None
    anywhere: bool = False


@dataclass(frozen=True)
class Quantity:
    """`ours`: the protocol here, or "speed.KEY" of metrics.json, or None; `theirs`: what is known of the paper's."""

    label: str
    ours: str | None
    theirs: str = UNKNOWN
    divide: float = 1.0  # our value by this gives the paper's unit


@dataclass(frozen=True)
class Table:
    """`ours`: row -> the method's name in an evaluation.

    `network`: the model of this library that the table is about.
    `exact`: row -> fields of the config that decide whether a model belongs there; a bool is compared by truth.
    `said`: fields of the paper's run of `network`; one that has others stays in the table, and they are listed.
    `extras`: methods of an evaluation that have no row get one.
    """

    title: str
    source: str
    conditions: tuple[Condition, ...]
    quantities: tuple[Quantity, ...]
    values: Mapping[str, str]
    ours: Mapping[str, str] = field(default_factory=dict)
    exact: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    network: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    extras: bool = True

    def value(self, method: str, quantity: int, condition: int) -> str:
        """As printed."""
        parts = self.values[method].split()[quantity].split("/")
        return parts[0] if len(parts) == 1 else parts[condition]


def by_condition(*conditions: str) -> str:
    """Cells of one row out of one text for each condition, which has the quantities separated by "/"."""
    return " ".join("/".join(cell) for cell in zip(*(text.split("/") for text in conditions), strict=True))
