"""Floating-point operations of the convolutions and matrix products of a traced program, all devices together.

XLA's cost analysis counts the body of a loop once and has no result for absent GPUs; this count multiplies scans by
their lengths. A multiply-add is two operations. Elementwise operations are left out, as chips' published peaks concern
products. The branch of a conditional with most operations counts.
"""

from __future__ import annotations

import math
from typing import Any

from jax.extend import core


def product_flops(jaxpr: core.Jaxpr) -> int:
    """Operations of `jaxpr` (`jax.jit(f).trace(...).jaxpr.jaxpr`)."""
    return sum(_flops(equation) for equation in jaxpr.eqns)


def _flops(equation: core.JaxprEqn) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        left = _shape(equation.invars[0])
        return 2 * math.prod(_shape(equation.outvars[0])) * math.prod(left[axis] for axis in contracted)
    if name == "conv_general_dilated":
        return _convolution(equation)
    if name == "cond":
        return max(product_flops(branch.jaxpr) for branch in params["branches"])
    times = params["length"] if name == "scan" else 1
    if name == "shard_map":  # the program of one device
        times = math.prod(params["mesh"].shape[axis] for axis in params["newly_manual_axes"])
    return times * sum(product_flops(inner) for inner in _inner(list(params.values())))


def _convolution(equation: core.JaxprEqn) -> int:
    """Zeros inserted into the input (the gradient of a strided convolution) are not counted."""
    params = equation.params
    kernel = _shape(equation.invars[1])
    products = math.prod(kernel) // kernel[params["dimension_numbers"].rhs_spec[0]]  # for each value of the output
    return 2 * math.prod(_shape(equation.outvars[0])) * products // math.prod(params["lhs_dilation"])


def _shape(variable: core.Var | core.Literal) -> tuple[int, ...]:
    aval: Any = variable.aval  # JAX declares the abstract value without a shape
    return tuple(aval.shape)


def _inner(values: list[object]) -> list[core.Jaxpr]:
    """The programs among the parameters of an equation."""
    found = []
    for value in values:
        inner = getattr(value, "jaxpr", value)  # of a closed one
        if isinstance(inner, core.Jaxpr):
            found.append(inner)
        elif isinstance(value, list | tuple):
            found.extend(_inner(list(value)))
    return found
