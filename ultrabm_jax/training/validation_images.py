"""The images whose scores choose the best checkpoint of a run, and what the log says about them."""

from __future__ import annotations

import dataclasses

from ml_collections import ConfigDict

from input_pipeline import PairSource, open_source
from input_pipeline.object_stores import local_data
from input_pipeline.sources.splits import holds_out, training_evaluation
from ultrabm_jax.logging import logger
from ultrabm_jax.training.evaluation_set import EvaluationSet, evaluation_set


@dataclasses.dataclass(frozen=True)
class ValidationImages:
    """Both None if there are no validation images: then the last checkpoint is the one to use."""

    source: PairSource | None
    identity: EvaluationSet | None
    held_out: bool = False  # of the training images

    def log(self, void: EvaluationSet | None) -> None:
        """Logs what chooses the checkpoint. `void`: the set whose scores no longer do."""
        now = "the last checkpoint is used" if self.identity is None else f"the run now evaluates {self.identity}"
        if void is not None:
            logger.info("note: the best checkpoint so far, by %s, is void: %s", void, now)
        if self.held_out and self.identity is not None:
            count = len(self.source or ())
            verb = "image is" if count == 1 else "images are"
            logger.info("note: %d training %s held out for validation (data.holdout)", count, verb)
        if self.identity is None:
            logger.info(
                "note: no validation images, so nothing is evaluated and the last checkpoint is used; "
                "set data.holdout or data.eval_root to choose the best one"
            )
        elif self.identity.is_test:
            logger.warning(
                "the test images choose the checkpoint (data.eval_split=test); its results on them are too good"
            )


def open_validation(config: ConfigDict) -> ValidationImages:
    """Opens the split that training evaluates. The test split is opened only if data.eval_split names it."""
    role = "val" if config.data.eval_split == "auto" else "eval"
    data = local_data(config.data, scale=config.model.scale, splits=(role,))
    split = training_evaluation(data, scale=config.model.scale)
    if split is None:
        return ValidationImages(None, None)
    unreadable: list[str] = []
    source = open_source(data, scale=config.model.scale, split=split, left_out=unreadable)
    for reason in unreadable:
        logger.warning("evaluation: left out: %s", reason)
    mixed = bool(config.data.mixture)  # its members are logged when they are opened
    held_out = split == "val" and not mixed and holds_out(data, "val", scale=config.model.scale)
    return ValidationImages(source, evaluation_set(config, source, split, count=config.eval.count), held_out)
