"""A function of images of any size, compiled for few sizes (canvases.py)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TypeAlias

import jax
import numpy as np
from jax.extend.core import Jaxpr

from ultrabm_jax.inference.canvases import CanvasChoice, Size
from ultrabm_jax.layers.canvas import Canvas, use_canvas
from ultrabm_jax.logging import logger
from ultrabm_jax.models.task import Task
from ultrabm_jax.typing import Batch, HostBatch, PyTree, Variables

Apply: TypeAlias = Callable[[Variables, Variables, Batch], PyTree]  # (variables, statistics, inputs) -> arrays

# Floating-point operations that take as long as compiling one equation of the program. CPU: measured on two cores with
# UltraBM small and LW-DRGN, which compile about as long as they restore 3 and 0.3 megapixels (docs/log/benchmarks.md).
# Elsewhere: an estimate, for 400 times the speed.
FLOPS_PER_EQUATION = {"cpu": 1.3e8}
FLOPS_PER_EQUATION_ELSEWHERE = 5e10


class SizedProgram:
    """`apply` compiled for inputs (h, w, ...) of any size; the output is that of the image up to rounding.

    tile: see `CanvasChoice`. exact: compile every size by itself. quiet: do not log what is compiled.
    """

    def __init__(self, apply: Apply, task: Task, *, tile: int, exact: bool = False, quiet: bool = False) -> None:
        self._apply, self._name, self._padding = apply, task.name, task.padding
        self._alone = jax.jit(apply)
        self._on_canvas = jax.jit(self._applied_on_canvas)
        multiple = None if exact else task.canvas_multiple
        self._choice = None if multiple is None else CanvasChoice(multiple=multiple, tile=tile)
        self._pixel_price: float | None = None
        self._quiet = quiet
        self._compiled: set[tuple[Size, bool]] = set()  # shapes, and whether they are canvases

    def __call__(self, variables: Variables, statistics: Variables, inputs: HostBatch) -> PyTree:
        """The output of `apply`; of images, the rest of the canvas must be cropped at the bottom and right."""
        size = (inputs["low"].shape[0], inputs["low"].shape[1])
        price = functools.partial(self._price, variables, statistics, inputs)
        canvas = None if self._choice is None else self._choice.choose(size, price)
        self._log(canvas or size, canvas is not None)
        if canvas is None:
            return self._alone(variables, statistics, inputs)
        placed = {name: _place(value, canvas) for name, value in inputs.items()}
        return self._on_canvas(variables, statistics, placed, np.array(size, np.int32))

    def expect(self, sizes: Iterable[Size]) -> None:
        """Announces images of these sizes, each as often as it occurs."""
        if self._choice is not None:
            self._choice.expect(sizes)

    def _applied_on_canvas(self, variables: Variables, statistics: Variables, inputs: Batch, size: jax.Array) -> PyTree:
        height, width = inputs["low"].shape[:2]
        assert self._padding is not None
        with use_canvas(Canvas(size, (height, width), self._padding)):
            return self._apply(variables, statistics, inputs)

    def _price(self, variables: Variables, statistics: Variables, inputs: HostBatch) -> float:
        """Pixels that are restored in the time of a compilation: an estimate, equal in every run."""
        if self._pixel_price is None:
            traced = self._alone.trace(variables, statistics, inputs)
            equations = _count_equations(traced.jaxpr.jaxpr)
            height, width = inputs["low"].shape[:2]
            flops = traced.lower().cost_analysis()["flops"] / (height * width)
            per_equation = FLOPS_PER_EQUATION.get(jax.default_backend(), FLOPS_PER_EQUATION_ELSEWHERE)
            self._pixel_price = per_equation * equations / max(flops, 1.0)
        return self._pixel_price

    def _log(self, shape: Size, is_canvas: bool) -> None:
        """Logs the first run of each shape, which compiles."""
        if self._quiet or (shape, is_canvas) in self._compiled:
            return
        self._compiled.add((shape, is_canvas))
        if self._padding is None and len(self._compiled) == 2:
            logger.info(f"{self._name} is compiled for every image size, because its layers do not support canvases")
        logger.info(f"compiling {self._name} for {'up to ' if is_canvas else ''}{shape[1]}x{shape[0]} pixels")


def _count_equations(jaxpr: Jaxpr) -> int:
    """Equations of a program, with those of loops and functions in it."""
    count = len(jaxpr.eqns)
    for leaf in jax.tree.leaves([list(equation.params.values()) for equation in jaxpr.eqns]):
        inner = getattr(leaf, "jaxpr", leaf)  # of a closed program
        if isinstance(inner, Jaxpr):
            count += _count_equations(inner)
    return count


def _place(x: np.ndarray, canvas: Size) -> np.ndarray:
    return np.pad(x, ((0, canvas[0] - x.shape[0]), (0, canvas[1] - x.shape[1]), (0, 0)))
