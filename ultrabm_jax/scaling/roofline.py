"""Lower bounds of a program's time on a chip, from the compiled program and published numbers.

    arithmetic      flops of convolutions and products / the chip's peak for the compute type
    bandwidth       bytes that kernels read from and write to the device's memory (traffic.py) / the chip's bandwidth
    communication   bytes sent / bandwidth of a link within the group

The program takes at least the largest of the three, and its arithmetic reaches at most arithmetic / largest of the
peak, except that arrays which a cache holds between two kernels need less bandwidth: small programs can be faster.
"""

from __future__ import annotations

import dataclasses

from ultrabm_jax.scaling.chips import Chip
from ultrabm_jax.scaling.compiled_program import CompiledProgram


@dataclasses.dataclass(frozen=True)
class Roofline:
    """Lower bounds in seconds."""

    arithmetic: float
    bandwidth: float
    communication: float

    @property
    def seconds(self) -> float:
        """The largest bound."""
        return max(self.arithmetic, self.bandwidth, self.communication)

    @property
    def limit(self) -> str:
        """The name of the largest bound."""
        bounds = dataclasses.asdict(self)
        return max(bounds, key=lambda name: bounds[name])

    @property
    def utilisation(self) -> float:
        """Upper bound of the share of the chip's peak arithmetic, in [0, 1]."""
        return self.arithmetic / self.seconds


def roofline(program: CompiledProgram, chip: Chip, *, dtype: str) -> Roofline:
    """The bounds of `program`, whose products are computed in `dtype`."""
    least = program["arguments"] + program["outputs"]
    accessed = max(least, program["accessed"] or 0)
    return Roofline(program["flops"] / chip.flops[dtype], accessed / chip.bandwidth, program["sent"] / chip.fast)
