"""Inlines the functions that a program calls (`jit`, custom derivatives, `remat`), for converters of jaxprs.

jax2onnx 0.17.1 fails on `jit` with JAX 0.12 ("no attribute 'ClosedJaxpr'"), and on a reverse `scan`, so scans are
unrolled. Values do not change: every operation is the same. Operations on weights alone are computed, not staged, so
that a converter stores their results as constants. Padding an array of symbolic size, which jax2onnx 0.17.1 cannot
convert, becomes a concatenation. A converter may also need another form of a function: `substitutes` maps the name of a
jitted function to one that returns equal values.
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
        if equation.primitive.name == "scan":
            return self._unrolled(equation, inputs)
        traced = any(isinstance(x, jax.core.Tracer) for x in inputs)
        symbolic = not all(isinstance(side, int) for x in equation.outvars for side in getattr(x.aval, "shape", ()))
        if symbolic and equation.primitive.name == "pad":
            x, value = inputs
            return [_concatenated(x, value, equation.params["padding_config"])]
        if traced or symbolic or equation.primitive.name == "dim_as_value":
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

    def _unrolled(self, equation: core.JaxprEqn, inputs: list[jax.Array]) -> list[jax.Array]:
        """The outputs of a scan: the last carries, then the stacked outputs of all steps.

        The body receives constants and carries whole, and one element of each scanned input. An element has one axis
        less, which distinguishes them in every version of JAX.
        """
        body, length = equation.params["jaxpr"], equation.params["length"]
        first = sum(map(_same_rank, equation.invars, body.jaxpr.invars))
        carries = sum(map(_same_rank, equation.outvars, body.jaxpr.outvars))
        constants, carry, scanned = inputs[: first - carries], inputs[first - carries : first], inputs[first:]
        steps: list[list[jax.Array]] = []
        for i in range(length):
            step = length - 1 - i if equation.params["reverse"] else i
            outputs = self.evaluate(body, [*constants, *carry, *(_element(x, step) for x in scanned)])
            carry = outputs[:carries]
            steps.append(outputs[carries:])
        if equation.params["reverse"]:
            steps.reverse()
        return [*carry, *(_stacked(values) for values in zip(*steps, strict=True))]


def _same_rank(a: core.Var | core.Literal, b: core.Var | core.Literal) -> bool:
    return len(getattr(a.aval, "shape", ())) == len(getattr(b.aval, "shape", ()))


def _element(x: jax.Array, i: int) -> jax.Array:
    """x[i]; of a weight, it is computed."""
    if isinstance(x, jax.core.Tracer):
        return jax.lax.index_in_dim(x, i, keepdims=False)
    with jax.ensure_compile_time_eval():
        return jax.lax.index_in_dim(x, i, keepdims=False)


def _stacked(values: Sequence[jax.Array]) -> jax.Array:
    return jax.lax.concatenate([jax.lax.expand_dims(x, (0,)) for x in values], 0)


def _concatenated(x: jax.Array, value: jax.Array, padding: Sequence[tuple[int, int, int]]) -> jax.Array:
    """x padded with a value; `padding` has low, high and interior counts for each axis, as in `lax.pad`."""
    for axis, (low, high, interior) in enumerate(padding):
        if interior or min(low, high) < 0:
            raise NotImplementedError(f"pad with {padding} of an array of symbolic size")
        if low or high:
            edge = jax.lax.slice_in_dim(x, 0, 1, axis=axis)
            edge = jax.lax.max(jax.lax.min(edge, value), value)  # the value, in the shape of the edge
            x = jax.lax.concatenate([*[edge] * low, x, *[edge] * high], axis)
    return x


def _bind(equation: core.JaxprEqn, inputs: list[jax.Array]) -> Sequence[jax.Array]:
    bound = equation.primitive.get_bind_params(equation.params)
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # JAX 0.12 returns only the latter
    outputs = equation.primitive.bind(*functions, *inputs, **parameters)
    return outputs if equation.primitive.multiple_results else [outputs]
