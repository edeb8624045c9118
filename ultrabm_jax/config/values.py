"""Types and lengths of config values: one line for a value that a field does not take.

ml_collections checks the type of a value, but not the length of a tuple or what it holds.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping

from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError

# Tuples of numbers: how many; None: any number of them.
NUMBERS: Mapping[str, int | None] = {
    "data.darkness.ev": 2,
    "data.darkness.shot_noise": 2,
    "data.holdout": 2,
    "data.zoom": None,
    "eval.temperatures": None,
    "model.depths": None,  # one for each level of the pyramid
    "model.groups": None,
    "synthesis.noise": 2,
    "train.betas": 2,
}
OF_DRGN = ("model.depths", "model.groups")  # a single number for lw_drgn
# Tuples of tuples of so many numbers.
ROWS: Mapping[str, tuple[int, ...]] = {"train.cycles": (2, 3), "train.stages": (3,)}
# Tuples of (text, number) or (text, number, dictionary).
MEMBERS = ("data.mixture",)
# Tuples of names.
NAMES = (
    "data.eval_members",
    "data.extra_inputs",
    "data.leave_out",
    "eval.amplify",
    "eval.baselines",
    "eval.blind_protocols",
    "eval.foreign_scores",
    "eval.protocols",
)


def check_tuples(config: ConfigDict) -> None:
    """Raises UserError for the first tuple of `config` that has another length or other elements than its field."""
    for field in (*NUMBERS, *ROWS, *MEMBERS, *NAMES):
        if field in OF_DRGN and config.get("model", {}).get("name") != "drgn":
            continue
        section: ConfigDict | None = config
        *sections, name = field.split(".")
        for part in sections:
            section = section.get(part) if section is not None else None
        if section is not None and name in section:
            _check_tuple(field, section[name])


def override_text(field: str, text: str, default: object) -> str:
    """The text of an override as its parser reads it.

    "1e3" becomes "1000" where `default` is an integer, and "a,b" becomes "('a', 'b')" where the field takes names.
    Raises UserError for a text that is not a value of the type of `default`. Tuples: `check_tuples`.
    """
    if isinstance(default, ConfigDict):
        raise UserError(f"config.{field} is a section; set one of its fields: {', '.join(default)}")
    if isinstance(default, bool):
        if text.lower() not in ("true", "t", "1", "false", "f", "0"):
            raise _wrong(field, "true or false", text)
    elif isinstance(default, int):
        whole = _whole(text)
        if whole is None:
            raise _wrong(field, "a whole number", text)
        return str(whole)
    elif isinstance(default, float):
        try:
            float(text)
        except ValueError:
            raise _wrong(field, "a number", text) from None
    elif field in NAMES and "," in text and not any(mark in text for mark in "()[]'\""):
        return repr(tuple(name.strip() for name in text.split(",") if name.strip()))
    return text


def _whole(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if math.isfinite(number) and number == int(number) else None


def _check_tuple(field: str, value: object) -> None:
    elements = value if isinstance(value, (tuple, list)) else None
    if field in NUMBERS:
        count = NUMBERS[field]
        if elements is None or not _are_numbers(elements) or (len(elements) != count if count else not elements):
            raise _wrong(field, f"{count} numbers" if count else "one or more numbers", value)
    elif field in ROWS:
        counts = ROWS[field]
        if elements is None or not all(
            isinstance(row, (tuple, list)) and _are_numbers(row) and len(row) in counts for row in elements
        ):
            raise _wrong(field, f"tuples of {' or '.join(map(str, counts))} numbers", value)
    elif field in MEMBERS:
        if elements is None or not all(map(_is_member, elements)):
            raise _wrong(field, "tuples of (DATASET:PATH, weight) or (DATASET:PATH, weight, {field: value})", value)
    elif elements is None or not all(isinstance(name, str) for name in elements):
        raise _wrong(field, "names", value)


def _is_member(value: object) -> bool:
    if not isinstance(value, (tuple, list)) or len(value) not in (2, 3):
        return False
    options = value[2] if len(value) == 3 else {}
    return isinstance(value[0], str) and _are_numbers(value[1:2]) and isinstance(options, (Mapping, ConfigDict))


def _are_numbers(values: tuple[object, ...] | list[object]) -> bool:
    return all(isinstance(value, numbers.Real) and not isinstance(value, bool) for value in values)


def _wrong(field: str, takes: str, value: object) -> UserError:
    return UserError(f"config.{field} takes {takes}; got {value if isinstance(value, str) else repr(value)}")
