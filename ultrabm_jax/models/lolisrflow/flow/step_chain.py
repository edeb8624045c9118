"""A chain of equal steps as one loop, so that a level compiles as fast as one step.

`remat` selects what is stored for the backward pass:

    "none"      all activations of all steps
    "steps"     the input of every step; its activations are recomputed
    "inverse"   only the output of the chain; the input of a step is recomputed by its inverse

The memory of "inverse" does not grow with the number of steps, and it costs one more pass than "steps".
"""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.models.lolisrflow.flow import invertible_conv
from ultrabm_jax.models.lolisrflow.flow.actnorm import initialises_from_data
from ultrabm_jax.typing import Params, PyTree

Stacked = dict[str, PyTree]  # "params" and "matrices" of all steps, with a leading axis of steps
Step = dict[str, PyTree]  # the same of one step
ZAndLogdet = tuple[jax.Array, jax.Array]
Residuals = tuple[Stacked, jax.Array, jax.Array]  # of the steps, z or its cotangent, the condition
Carry = tuple[jax.Array, jax.Array, jax.Array]  # z, its cotangent, the cotangent of the condition so far
RunStep = Callable[[Step, jax.Array, jax.Array, bool], ZAndLogdet]  # (step, z, condition, inverse) -> z, logdet (b,)


class Chain(nn.Module):
    """z (b, h, w, c), condition (b, h, w, any) -> ((b, h, w, c), logdets (steps, b)).

    Parameters: "steps", those of `kind` (a module of flow_step.py) stacked along a leading axis, and "matrix".
    """

    kind: type[nn.Module]
    options: tuple[tuple[str, int | str], ...]  # fields of `kind`
    steps: int
    remat: str = "none"

    @nn.compact
    def __call__(self, z: jax.Array, condition: jax.Array, *, inverse: bool = False) -> ZAndLogdet:
        _, h, w, c = z.shape
        step = self.kind(**dict(self.options), parent=None)
        matrix = self.param("matrix", invertible_conv.orthogonal, (self.steps, c, c))
        each: Stacked = {
            "params": self.param("steps", self._initial, step, c, condition.shape[-1]),
            "matrices": {"matrix": matrix},
        }
        if inverse or self.remat == "inverse":
            each["matrices"]["inverse"] = invertible_conv.inverse(matrix)
        if initialises_from_data(self) and not inverse:
            z, logdets, fitted = _fit(step, each, z, condition)
            self.put_variable("params", "steps", fitted)
        else:
            z, logdets = run(_runner(step), each, z, condition, inverse=inverse, remat=self.remat)
        of_matrix = h * w * invertible_conv.log_abs_determinant(matrix)[:, None]
        return z, logdets - of_matrix if inverse else logdets + of_matrix

    def _initial(self, key: jax.Array, step: nn.Module, channels: int, condition_channels: int) -> Params:
        z, condition = jnp.zeros((1, 2, 2, channels)), jnp.zeros((1, 2, 2, condition_channels))
        matrices = {"matrix": jnp.eye(channels)}
        return jax.vmap(lambda k: step.init(k, z, condition, matrices)["params"])(jax.random.split(key, self.steps))


def run(step: RunStep, each: Stacked, z: jax.Array, condition: jax.Array, *, inverse: bool, remat: str) -> ZAndLogdet:
    """Runs all steps; from the last to the first in the inverse direction."""
    if remat == "inverse":
        return _run_reversibly(step, inverse)(each, z, condition)

    def body(z: jax.Array, one: Step) -> ZAndLogdet:
        return step(one, z, condition, inverse)

    return jax.lax.scan(jax.checkpoint(body) if remat == "steps" else body, z, each, reverse=inverse)


def _runner(step: nn.Module) -> RunStep:
    def run_one(one: Step, z: jax.Array, condition: jax.Array, inverse: bool) -> ZAndLogdet:
        return step.apply({"params": one["params"]}, z, condition, one["matrices"], inverse=inverse)

    return run_one


def _fit(step: nn.Module, each: Stacked, z: jax.Array, condition: jax.Array) -> tuple[jax.Array, jax.Array, Params]:
    """A forward pass that initialises each step from its input; returns z, logdets and the stacked parameters."""

    def body(z: jax.Array, one: Step) -> tuple[jax.Array, tuple[jax.Array, Params]]:
        variables = {"params": one["params"]}
        (z, logdet), fitted = step.apply(variables, z, condition, one["matrices"], mutable=["params"])
        return z, (logdet, fitted["params"])

    z, (logdets, fitted) = jax.lax.scan(body, z, each)
    return z, logdets, fitted


def _run_reversibly(step: RunStep, inverse: bool) -> Callable[[Stacked, jax.Array, jax.Array], ZAndLogdet]:
    """`run` with a backward pass that recomputes the steps' inputs from the output by their inverses."""

    @jax.custom_vjp
    def chain(each: Stacked, z: jax.Array, condition: jax.Array) -> ZAndLogdet:
        return run(step, each, z, condition, inverse=inverse, remat="none")

    def forward(each: Stacked, z: jax.Array, condition: jax.Array) -> tuple[ZAndLogdet, Residuals]:
        out = chain(each, z, condition)
        return out, (each, out[0], condition)

    def backward(residuals: Residuals, cotangents: ZAndLogdet) -> Residuals:
        each, z, condition = residuals

        def body(carry: Carry, inputs: tuple[Step, jax.Array]) -> tuple[Carry, Step]:
            (after, d_after, d_condition), (one, d_logdet) = carry, inputs
            before, _ = step(one, after, condition, not inverse)
            _, vjp = jax.vjp(lambda p, z, c: step(p, z, c, inverse), one, before, condition)
            d_one, d_before, d_condition_here = vjp((d_after, d_logdet))
            return (before, d_before, d_condition + d_condition_here), d_one

        start = (z, cotangents[0], jnp.zeros_like(condition))
        (_, d_z, d_condition), d_each = jax.lax.scan(body, start, (each, cotangents[1]), reverse=not inverse)
        return d_each, d_z, d_condition

    chain.defvjp(forward, backward)
    return chain
