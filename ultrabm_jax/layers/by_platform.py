"""The form of a computation that suits the platform it is compiled for.

`jax.lax.platform_dependent` traces all forms and drops the others when the program is lowered. Gradients of it keep
what each form's backward pass needs, until then. Where a trace is inspected or converted, as in scaling and export,
`traced_for` leaves the other forms out.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import TypeVar

import jax

from ultrabm_jax.typing import PyTree

Result = TypeVar("Result")
OTHER = "other"  # a platform without forms of its own

_platform: contextvars.ContextVar[str] = contextvars.ContextVar("platform", default="")


@contextlib.contextmanager
def traced_for(platform: str) -> Iterator[None]:
    """Programs traced inside are for `platform` ("cpu", "gpu", "tpu" or OTHER) only."""
    token = _platform.set(platform)
    try:
        yield
    finally:
        _platform.reset(token)


def by_platform(*args: PyTree, default: Callable[..., Result], **forms: Callable[..., Result] | None) -> Result:
    """forms[platform](*args) in programs for a platform that has a form, default(*args) in others.

    All forms return the same shapes and types. A form that is None is absent.
    """
    present = {platform: form for platform, form in forms.items() if form is not None}
    if platform := _platform.get():
        return present.get(platform, default)(*args)
    if not present:
        return default(*args)
    y: Result = jax.lax.platform_dependent(*args, **present, default=default)
    return y
