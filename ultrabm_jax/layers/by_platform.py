"""The form of a computation that suits the platform it is compiled for.

`jax.lax.platform_dependent` traces all forms and drops the others when the program is lowered. Gradients of it keep
what each form's backward pass needs, until then. Where a trace is inspected, as in scaling, `traced_for` leaves the
other forms out.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import jax

from ultrabm_jax.typing import PyTree

_platform: contextvars.ContextVar[str] = contextvars.ContextVar("platform", default="")


@contextlib.contextmanager
def traced_for(platform: str) -> Iterator[None]:
    """Programs traced inside are for `platform` ("cpu", "gpu" or "tpu") only."""
    token = _platform.set(platform)
    try:
        yield
    finally:
        _platform.reset(token)


def on_tpu(tpu: Callable[..., jax.Array], default: Callable[..., jax.Array], *args: PyTree) -> jax.Array:
    """tpu(*args) in programs for TPUs, default(*args) in others; both have the same shape and type."""
    if platform := _platform.get():
        return (tpu if platform == "tpu" else default)(*args)
    y: jax.Array = jax.lax.platform_dependent(*args, tpu=tpu, default=default)
    return y
