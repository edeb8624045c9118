"""Inlines the functions that a program calls (`jit`, custom derivatives, `remat`), for converters of jaxprs.

jax2onnx 0.17.1 fails on `jit` with JAX 0.12 ("no attribute 'ClosedJaxpr'"). Values do not change: every operation is
the same. Operations on weights alone are computed, not staged, so that a converter stores their results as constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
from jax.extend import core

CALLS = ("jit", "pjit", "closed_call", "remat", "remat2", "checkpoint", "custom_jvp_call", "custom_vjp_call")


def inline_calls(function: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    """`function` of one array as a program of basic operations, without calls; only for tracing."""

    def inlined(x: jax.Array) -> jax.Array:
        program = jax.make_jaxpr(function)(x)
        (result,) = _evaluate(program, [x])
        return result

    return inlined


def _evaluate(program: core.Jaxpr, arguments: Sequence[jax.Array]) -> list[jax.Array]:
    """The outputs of a program with its constants (before JAX 0.12, the type was ClosedJaxpr)."""
    jaxpr = program.jaxpr
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*program.consts, *arguments), strict=True))

    def read(atom: core.Var | core.Literal) -> jax.Array:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        values.update(zip(equation.outvars, _apply(equation, inputs), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation: core.JaxprEqn, inputs: list[jax.Array]) -> Sequence[jax.Array]:
    """The outputs of one operation, or of the operations of one call."""
    if equation.primitive.name in CALLS:
        name = "jaxpr" if "jaxpr" in equation.params else "call_jaxpr"
        return _evaluate(equation.params[name], inputs)
    traced = any(isinstance(x, jax.core.Tracer) for x in inputs)
    symbolic = not all(isinstance(side, int) for x in equation.outvars for side in getattr(x.aval, "shape", ()))
    if traced or symbolic:
        return _bind(equation, inputs)
    with jax.ensure_compile_time_eval():
        return _bind(equation, inputs)


def _bind(equation: core.JaxprEqn, inputs: list[jax.Array]) -> Sequence[jax.Array]:
    bound = equation.primitive.get_bind_params(equation.params)
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # JAX 0.12 returns only the latter
    outputs = equation.primitive.bind(*functions, *inputs, **parameters)
    return outputs if equation.primitive.multiple_results else [outputs]
