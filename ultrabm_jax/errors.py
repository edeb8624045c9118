"""The base class of errors that the user can fix, and how an exception becomes one line of text.

Scripts print a `UserError` as a single line `error: ...` and exit with status 1. Any other exception is a bug and keeps
its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_LENGTH = 160  # characters of `first_line`


class UserError(ValueError):
    """A path, a file or an option is wrong. The message says what to do."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ "; did you mean NAME?" with the first known name that begins like `name`, or the most similar; "" if none is."""
    lower = {other.lower(): other for other in reversed(list(known))}
    beginnings = [other for other in reversed(lower) if name and other.startswith(name.lower())]
    similar = beginnings or difflib.get_close_matches(name.lower(), lower, n=1)
    return f"; did you mean {lower[similar[0]]}?" if similar else ""


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, at most 160 characters; its type if it has no message.

    Some libraries raise several pages of text (Orbax) or messages of type bytes (LibRaw).
    """
    message = error.args[0] if error.args else ""
    text = message.decode("ascii", "replace") if isinstance(message, bytes) else str(error)
    lines = text.strip().splitlines() or [type(error).__name__]
    line = " ".join(lines[0].split())
    return line if len(line) <= MAX_LENGTH else f"{line[:MAX_LENGTH]} ..."
