"""The data structure of a paper's table.

Values are text, as printed: one cell for each quantity, separated by spaces; within a cell one value for each
condition, separated by "/" (a single value stands for all conditions); "-" where the paper has none. A "*" refers
to the notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ultrabm_jax.report.summary import Config

UNKNOWN = "unknown"
NONE = "-"
ANY_SIZE = "any size"


@dataclass(frozen=True)
class Condition:
    """A data set at a scale, or any data set (`dataset` None and `any_dataset`); `count` is the whole set's size."""

    label: str
    dataset: str | None = None  # config.data.dataset; None: not a data set of this library
    scale: int = 1
    split: str = "test"
    count: int | None = None
    any_dataset: bool = False
    folder: str = ""  # of dataset "folder": the name of the folder must contain this
    input: str = ""  # the size of the image at which the paper measured operations, memory and time; or ANY_SIZE
    trained_on: str = ""  # the data set that the paper's networks were trained on; "": none, or not stated


@dataclass(frozen=True)
class Quantity:
    """A column: `protocol` is its protocol here, "speed.KEY" of metrics.json, or None if it is not measured here."""

    label: str
    protocol: str | None
    paper_protocol: str = UNKNOWN  # what is known about the paper's protocol
    unit: float = 1.0  # our value is divided by this to give the paper's unit
    differs: str = ""  # what is known to differ between the two protocols
    device: str = ""  # of times: the paper's device
    platform: str = ""  # of times: "cpu" or "gpu"; "": any


@dataclass(frozen=True)
class Table:
    """A table of a paper, with the rows that evaluations of this library can fill.

    `methods`: row -> name of the method in an evaluation.
    `networks`: the models of this library that the table is about.
    `efficiency_rows`: row -> model, for the files of `ultrabm-jax speed`; by default `methods`.
    `required`: row -> fields of the config that a model must have to fill it; a bool is compared by truthiness.
    `paper_config`: the paper's config of `networks`; values of models that differ are marked.
    `amplification`: of mosaics, the kind in the paper (ultrabm_jax/models/red/task.py).
    `differs`: known differences of all measured values from the paper's; `row_differs`: of those of one row.
    `extras`: whether methods of an evaluation without a row get one.
    """

    title: str
    source: str
    conditions: tuple[Condition, ...]
    quantities: tuple[Quantity, ...]
    values: Mapping[str, str]
    methods: Mapping[str, str] = field(default_factory=dict)
    required: Mapping[str, Config] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    efficiency_rows: Mapping[str, str] = field(default_factory=dict)
    paper_config: Config = field(default_factory=dict)
    amplification: str = ""
    differs: tuple[str, ...] = ()
    row_differs: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    extras: bool = True

    def value(self, method: str, quantity: int, condition: int) -> str:
        """The value as printed; arguments are the row, and the numbers of the quantity and the condition."""
        parts = self.values[method].split()[quantity].split("/")
        return parts[0] if len(parts) == 1 else parts[condition]


def by_condition(*conditions: str) -> str:
    """The cells of a row, from one text per condition that has the quantities separated by "/"."""
    return " ".join("/".join(cell) for cell in zip(*(text.split("/") for text in conditions), strict=True))
