"""Steps of one kind in a row as one loop, so that a level compiles as quickly as one step; and what it remembers.

remat, for the backward pass:

    "none"      all activations of all steps are kept
    "steps"     the input of every step is kept and its activations are computed again
    "inverse"   only the output of the chain is kept: a step's input is its inverse applied to its output

The last needs memory that does not grow with the number of steps, for one more pass than "steps".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.models.lolisrflow.flow import invertible_conv
from ultrabm_jax.models.lolisrflow.flow.actnorm import fits_to_data

# (parameters of one step, z, condition, inverse) -> z, logdet (b,)
RunStep = Callable[[Any, jax.Array, jax.Array, bool], tuple[jax.Array, jax.Array]]


class Chain(nn.Module):
    """z (b, h, w, c), condition (b, h, w, any) -> ((b, h, w, c), logdets (steps, b)).

    Parameters: "steps", those of `kind` (a module as in step.py) stacked along a new first axis, and "matrix".
    """

    kind: type[nn.Module]
    options: tuple[tuple[str, Any], ...]  # of `kind`
    steps: int
    remat: str = "none"

    @nn.compact
    def __call__(self, z: jax.Array, condition: jax.Array, *, inverse: bool = False) -> tuple[jax.Array, jax.Array]:
        _, h, w, c = z.shape
        step = self.kind(**dict(self.options), parent=None)
        matrix = self.param("matrix", invertible_conv.orthogonal, (self.steps, c, c))
        each: dict[str, Any] = {
            "params": self.param("steps", self._initial, step, c, condition.shape[-1]),
            "matrices": {"matrix": matrix},
        }
        if inverse or self.remat == "inverse":
            each["matrices"]["inverse"] = invertible_conv.inverse(matrix)
        if fits_to_data(self) and not inverse:
            z, logdets, fitted = _fit(step, each, z, condition)
            self.put_variable("params", "steps", fitted)
        else:
            z, logdets = run(_runner(step), each, z, condition, inverse=inverse, remat=self.remat)
        of_matrix = h * w * invertible_conv.log_abs_determinant(matrix)[:, None]
        return z, logdets - of_matrix if inverse else logdets + of_matrix

    def _initial(self, key: jax.Array, step: nn.Module, channels: int, condition_channels: int) -> Any:
        z, condition = jnp.zeros((1, 2, 2, channels)), jnp.zeros((1, 2, 2, condition_channels))
        matrices = {"matrix": jnp.eye(channels)}
        return jax.vmap(lambda k: step.init(k, z, condition, matrices)["params"])(jax.random.split(key, self.steps))


def run(
    step: RunStep, each: Any, z: jax.Array, condition: jax.Array, *, inverse: bool, remat: str
) -> tuple[jax.Array, jax.Array]:
    """All steps, `each` stacked; from the last to the first in the inverse direction."""
    if remat == "inverse":
        return _forgetting(step, inverse)(each, z, condition)

    def body(z: jax.Array, one: Any) -> tuple[jax.Array, jax.Array]:
        return step(one, z, condition, inverse)

    return jax.lax.scan(jax.checkpoint(body) if remat == "steps" else body, z, each, reverse=inverse)


def _runner(step: nn.Module) -> RunStep:
    def run_one(one: Any, z: jax.Array, condition: jax.Array, inverse: bool) -> tuple[jax.Array, jax.Array]:
        return step.apply({"params": one["params"]}, z, condition, one["matrices"], inverse=inverse)

    return run_one


def _fit(step: nn.Module, each: Any, z: jax.Array, condition: jax.Array) -> tuple[jax.Array, jax.Array, Any]:
    """A forward pass that initialises each step by what reaches it: z, logdets, stacked parameters."""

    def body(z: jax.Array, one: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
        variables = {"params": one["params"]}
        (z, logdet), fitted = step.apply(variables, z, condition, one["matrices"], mutable=["params"])
        return z, (logdet, fitted["params"])

    z, (logdets, fitted) = jax.lax.scan(body, z, each)
    return z, logdets, fitted


def _forgetting(step: RunStep, inverse: bool) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """`run` whose backward pass walks back from the output by the steps' inverses."""

    @jax.custom_vjp
    def forward(each: Any, z: jax.Array, condition: jax.Array) -> tuple[jax.Array, jax.Array]:
        return run(step, each, z, condition, inverse=inverse, remat="none")

    def remember(each: Any, z: jax.Array, condition: jax.Array) -> Any:
        out = forward(each, z, condition)
        return out, (each, out[0], condition)

    def back(kept: Any, cotangents: tuple[jax.Array, jax.Array]) -> Any:
        each, z, condition = kept

        def body(carry: Any, inputs: Any) -> tuple[Any, Any]:
            (after, d_after, d_condition), (one, d_logdet) = carry, inputs
            before, _ = step(one, after, condition, not inverse)
            _, pull = jax.vjp(lambda p, z, c: step(p, z, c, inverse), one, before, condition)
            d_one, d_before, more = pull((d_after, d_logdet))
            return (before, d_before, d_condition + more), d_one

        start = (z, cotangents[0], jnp.zeros_like(condition))
        (_, d_z, d_condition), d_each = jax.lax.scan(body, start, (each, cotangents[1]), reverse=not inverse)
        return d_each, d_z, d_condition

    forward.defvjp(remember, back)
    return forward
