"""Which steps of a run use which batch size, patch size and step function."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.methods.base import Method, TrainStep
from ultrabm_jax.stages import Stage, check_divisible, progressive_stages
from ultrabm_jax.training.sharding import batch_devices, check_patch


def plan_stages(config: ConfigDict, mesh: Mesh) -> list[Stage]:
    """The stages of config.train. Raises UserError if a stage's batch or patch cannot be split over `mesh`."""
    for name, every in (("log_every", config.log_every), ("checkpoint.every", config.checkpoint.every)):
        if every < 1:
            raise UserError(f"{name} is {every}; it must be at least 1 step")
    microbatches = config.train.accumulate
    if microbatches < 1:
        raise UserError(f"train.accumulate is {microbatches}; it must be at least 1 microbatch")

    def make_stages(batch_size: int) -> list[Stage]:
        sizes = {"batch_size": batch_size, "patch_size": config.data.patch_size}
        return progressive_stages(config.train.stages, steps=config.train.steps, **sizes)

    batch_size = config.data.batch_size
    check_divisible(make_stages, batch_size=batch_size, devices=batch_devices(mesh), microbatches=microbatches)
    stages = make_stages(batch_size)
    for stage in stages:
        check_patch(stage.patch_size, mesh)
    return stages


def check_sides(stages: Sequence[Stage], method: Method) -> None:
    """Raises UserError if a loss of `method` needs larger patches than a stage has."""
    scale = method.task.scale
    for field, side in method.min_sides().items():
        smallest = min(stage.patch_size for stage in stages)
        if smallest * scale < side:
            raise UserError(
                f"data.patch_size: patches of {smallest} are restored to {smallest * scale} pixels a side, but "
                f"the loss of {field} needs {side}; take patches of {math.ceil(side / scale)} or more, or set {field}=0"
            )


def check_batches(stages: Sequence[Stage], method: Method) -> None:
    """Raises UserError if a stage has fewer examples per batch than `method` needs."""
    least = method.min_batch_size()
    for number, stage in enumerate(stages, start=1):
        if stage.batch_size < least:
            raise UserError(
                f"stage {number} (steps {stage.start} to {stage.stop}) has batches of {stage.batch_size}, but "
                f"{method.task.name} needs {least}, because it needs images of other scenes: set data.photos to a "
                "folder of well-lit photos, or a larger data.batch_size"
            )


def split_at_phases(stages: Sequence[Stage], phases: Mapping[int, TrainStep]) -> Iterator[tuple[Stage, TrainStep]]:
    """Splits `stages` where the method's step function changes; `phases`: first step -> function."""
    for stage in stages:
        for first, after in pairwise([*sorted(phases), stage.stop]):
            part = dataclasses.replace(stage, start=max(stage.start, first), stop=min(stage.stop, after))
            if part.start < part.stop:
                yield part, phases[first]
