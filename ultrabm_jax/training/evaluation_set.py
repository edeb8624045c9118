"""The identity of the evaluations whose scores choose the best checkpoint: images and protocol.

Scores of different images or protocols cannot be compared, so `best` belongs to one evaluation set. It is recorded
beside the scores of each checkpoint (scores.py).
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ml_collections import ConfigDict

if TYPE_CHECKING:
    from input_pipeline.sources.base import PairSource


@dataclasses.dataclass(frozen=True)
class EvaluationSet:
    """`count` images of a split, scored under `metric`.

    `split` is train, val, test, or "eval_root NAME" for a folder data.eval_root of that name. `images` is a digest of
    the names of the images. `count` and `images` are None for runs of releases that did not record them.
    """

    metric: str
    dataset: str
    split: str
    count: int | None
    images: str | None

    def __str__(self) -> str:
        images = "" if self.count is None else f" ({self.count} image{'s' if self.count != 1 else ''})"
        return f"{self.metric} on {self.dataset} {self.split}{images}"

    @property
    def is_test(self) -> bool:
        """Whether the images are the data set's test images."""
        return self.split == "test"

    def matches(self, other: EvaluationSet) -> bool:
        """Whether scores on both sets can be compared; what one of them did not record is taken as equal."""
        known = dataclasses.asdict(other)
        pairs = [(value, known[name]) for name, value in dataclasses.asdict(self).items()]
        return all(one == two or one is None or two is None for one, two in pairs)


def evaluation_set(config: ConfigDict, source: PairSource, split: str, *, count: int = 0) -> EvaluationSet:
    """The first `count` images (0: all) of the split `split` of config.data, under config.eval.best."""
    from input_pipeline.sources.members import evaluated_name  # restoring images needs no data set

    used = min(count, len(source)) if count else len(source)
    names = "\n".join(source.name(i) for i in range(used))
    digest = hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return EvaluationSet(config.eval.best, evaluated_name(config.data), _label(config, split), used, digest)


def unrecorded_evaluation_set(config: ConfigDict) -> EvaluationSet:
    """The set on which a run of a release that recorded none was evaluated, by its config."""
    split = config.data.eval_split
    label = _label(config, "test" if split == "auto" else str(split))
    return EvaluationSet(config.eval.best, str(config.data.dataset), label, config.eval.count or None, None)


def _label(config: ConfigDict, split: str) -> str:
    root = config.data.eval_root
    return f"eval_root {Path(root).name}" if root and split != "train" else split
