"""What a resumed run does differently from the run so far: one line for each changed field, and for the schedule.

Several settings are fractions of train.steps, so another number of steps changes the learning rate and the stages of
all remaining steps. The optimiser's moments, the moving average and the position in the data come from the checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.optim.optimizer import make_schedule
from ultrabm_jax.stages import Stage
from ultrabm_jax.training.rollback import with_reduced_rate

Value: TypeAlias = bool | int | float | str | tuple["Value", ...] | dict[str, "Value"] | None
Changes: TypeAlias = dict[str, tuple[Value, Value]]  # field: (value before, value now)

MISSING = "not set"  # of a field that only one of the configs has
SCHEDULE = ("train.steps", "train.learning_rate", "train.cycles", "train.warmup", "train.rollback_factor")
STAGES = ("train.steps", "train.stages", "data.batch_size", "data.patch_size")
# Fields that a resumed run does not apply, and why.
IGNORED: Mapping[str, str] = {
    "train.deg_share": "no effect: the checkpoint holds the step at which the second phase begins",
}
NOTES: Mapping[str, str] = {
    "seed": "changes the order of the images and all later random draws; the parameters are the checkpoint's",
}
MAX_SAMPLES = 10_000  # steps at which two schedules are compared


def changed_fields(earlier: ConfigDict, config: ConfigDict) -> Changes:
    """The fields whose values differ, in the order of `config`."""
    before, now = dict(_flatten(_as_json(earlier))), dict(_flatten(_as_json(config)))
    pairs = {field: (before.get(field, MISSING), now.get(field, MISSING)) for field in {**now, **before}}
    return {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}


def describe_changes(
    earlier: ConfigDict, config: ConfigDict, *, step: int, stages: Sequence[Stage], rollbacks: int = 0
) -> list[str]:
    """One line for each changed field, then one for the learning rate and one for the stages if they change.

    step: the one that the run resumes from. stages: those of `config`. rollbacks: so far, which reduce the rate.
    """
    changes = changed_fields(earlier, config)
    notes = {**IGNORED, **NOTES}
    lines = [f"{line}; {notes[field]}" if field in notes else line for field, line in _lines(changes).items()]
    if changes.keys() & set(SCHEDULE):
        before, now = (with_reduced_rate(each, rollbacks).train for each in (earlier, config))
        lines.append(_describe_schedule(before, now, step))
    if changes.keys() & set(STAGES) and config.train.stages:
        parts = (f"to step {s.stop} batch {s.batch_size}, patch {s.patch_size}" for s in stages if s.stop > step)
        lines.append(f"stages from step {step} on: {'; '.join(parts)}")
    return lines


def check_steps(step: int | None, steps: int, workdir: object) -> None:
    """Raises UserError if the newest checkpoint, `step`, is beyond `steps`, the last step of the config."""
    if step is not None and step > steps:
        raise UserError(
            f"{workdir} has a checkpoint of step {step}, and train.steps is {steps}: a run cannot go back; "
            f"set --config.train.steps to {step} or more, or use another --workdir"
        )


def explain_misfit(error: UserError, earlier: ConfigDict | None, config: ConfigDict) -> UserError:
    """The error of a checkpoint that does not fit, in terms of the changed fields that can be the reason."""
    changes = {} if earlier is None else changed_fields(earlier, config)
    reasons = {field: pair for field, pair in changes.items() if _changes_state(field, *pair)}
    if not reasons:
        return error
    keep = " ".join(f"--config.{field}={_text(before)}" for field, (before, _) in reasons.items())
    return UserError(
        f"the checkpoint does not fit the changed config, {', '.join(_lines(reasons).values())}; "
        f"resume with {keep}, or use another --workdir"
    )


def _changes_state(field: str, before: Value, now: Value) -> bool:
    """Whether a change of the field can add or remove arrays of the training state, or change their shapes."""
    if field in ("train.grad_clip", "train.ema_decay"):  # zero: the state has no such part
        return bool(before) != bool(now)
    return field == "train.optimizer" or field.split(".")[0] in ("model", "discriminator")


def _describe_schedule(before: ConfigDict, now: ConfigDict, step: int) -> str:
    """`before` and `now` are config.train."""
    old, new = make_schedule(before), make_schedule(now)
    last = max(step, now.steps - 1)
    remaining = np.unique(np.linspace(step, last, MAX_SAMPLES).astype(np.int32))
    rates, former = (np.broadcast_to(np.asarray(f(remaining), np.float64), remaining.shape) for f in (new, old))
    if np.allclose(rates, former, rtol=1e-6, atol=0):
        return f"learning rate from step {step} on: as before"
    end = f", {rates[-1]:.3g} at step {last}" if last > step else ""
    return f"learning rate: {rates[0]:.3g} at step {step} (before: {former[0]:.3g}){end}"


def _lines(changes: Changes) -> dict[str, str]:
    return {field: f"{field}: {_text(before)} -> {_text(now)}" for field, (before, now) in changes.items()}


def _text(value: Value) -> str:
    return value if isinstance(value, str) and value else repr(value)


def _as_json(config: ConfigDict) -> object:
    return json.loads(config.to_json_best_effort())


def _flatten(value: object, prefix: str = "") -> Iterator[tuple[str, Value]]:
    """(field, value) of a parsed JSON value; lists become tuples."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flatten(part, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, _tuple(value)


def _tuple(value: object) -> Value:
    if isinstance(value, list):
        return tuple(_tuple(part) for part in value)
    if isinstance(value, dict):  # the options of a member of data.mixture
        return {name: _tuple(part) for name, part in value.items()}
    assert value is None or isinstance(value, (bool, int, float, str)), "JSON has no other values"
    return value
