"""Inlines the functions that a program calls (`jit`, custom derivatives, `remat`), for converters of jaxprs.

jax2onnx 0.17.1 fails on `jit` with JAX 0.12 ("no attribute 'ClosedJaxpr'"). Values do not change: every operation is
the same. Operations on weights alone are computed, not staged, so that a converter stores their results as constants.
A converter may also need another form of a function: `substitutes` maps the name of a jitted function to one that
returns equal values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import jax
from jax.extend import core

CALLS = ("jit", "pjit", "closed_call", "remat", "remat2", "checkpoint", "custom_jvp_call", "custom_vjp_call")


Substitutes: TypeAlias = Mapping[str, Callable[..., jax.Array]]


def inline_calls(
    function: Callable[[jax.Array], jax.Array],
    argument: jax.ShapeDtypeStruct,
    *,
    substitutes: Substitutes = MappingProxyType({}),
) -> Callable[[jax.Array], jax.Array]:
    """Traces `function` of one array like `argument`; returns it as a function of basic operations, without calls.

    The result is meant for converters. It is traced here, since jax2onnx replaces functions of jax.numpy while it
    traces, which later calls of a jitted function would find in JAX's cache.
    """

    def inlined(x: jax.Array) -> list[jax.Array]:
        return _Inliner(substitutes).evaluate(jax.make_jaxpr(function)(x), [x])

    program = jax.make_jaxpr(inlined)(argument)

    def basic(x: jax.Array) -> jax.Array:
        (result,) = _Inliner().evaluate(program, [x])
        return result

    return basic


class _Inliner:
    def __init__(self, substitutes: Substitutes = MappingProxyType({})) -> None:
        self.substitutes = substitutes

    def evaluate(self, program: core.Jaxpr, arguments: Sequence[jax.Array]) -> list[jax.Array]:
        """The outputs of a program with its constants (before JAX 0.12, the type was ClosedJaxpr)."""
        jaxpr = program.jaxpr
        values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*program.consts, *arguments), strict=True))

        def read(atom: core.Var | core.Literal) -> jax.Array:
            return atom.val if isinstance(atom, core.Literal) else values[atom]

        for equation in jaxpr.eqns:
            inputs = [read(atom) for atom in equation.invars]
            values.update(zip(equation.outvars, self._apply(equation, inputs), strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _apply(self, equation: core.JaxprEqn, inputs: list[jax.Array]) -> Sequence[jax.Array]:
        """The outputs of one operation, or of the operations of one call."""
        if equation.primitive.name in CALLS:
            return self.evaluate(self._called(equation, inputs), inputs)
        traced = any(isinstance(x, jax.core.Tracer) for x in inputs)
        symbolic = not all(isinstance(side, int) for x in equation.outvars for side in getattr(x.aval, "shape", ()))
        if traced or symbolic:
            return _bind(equation, inputs)
        with jax.ensure_compile_time_eval():
            return _bind(equation, inputs)

    def _called(self, equation: core.JaxprEqn, inputs: list[jax.Array]) -> core.Jaxpr:
        """The program of a call, or of its substitute."""
        substitute = self.substitutes.get(equation.params.get("name", ""))
        if substitute is not None:
            return jax.make_jaxpr(substitute)(*inputs)
        program: core.Jaxpr = equation.params["jaxpr" if "jaxpr" in equation.params else "call_jaxpr"]
        return program


def _bind(equation: core.JaxprEqn, inputs: list[jax.Array]) -> Sequence[jax.Array]:
    bound = equation.primitive.get_bind_params(equation.params)
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # JAX 0.12 returns only the latter
    outputs = equation.primitive.bind(*functions, *inputs, **parameters)
    return outputs if equation.primitive.multiple_results else [outputs]
