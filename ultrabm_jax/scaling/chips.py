"""Published numbers of chips, per chip and in one direction, in SI units without prefix. Retrieved 2026-11-21.

H100: NVIDIA H100 data sheet (SXM: 989 and 494 teraflop/s dense in bfloat16 and TF32, 80 GB, NVLink 900 GB/s both ways)
and DGX H100 data sheet (one ConnectX-7 port of 400 Gbit/s for each of eight GPUs).
Bandwidths of memory: H100 SXM 3.35 TB/s, TPU v5e 819 GB/s, TPU v5p 2,765 GB/s, from the same pages.
TPU v5e: cloud.google.com/tpu/docs/v5e (197 teraflop/s, links of 1,600 Gbit/s, pods of 256, network of a pod
6.4 Tbit/s). TPU v5p: cloud.google.com/tpu/docs/v5p (459, 4,800 Gbit/s, slices of up to 6,144 chips,
network of 50 Gbit/s per chip). TPUs multiply float32 in bfloat16 passes; JAX's default is one pass.
Memory of TPUs: what libtpu 0.0.52 has for programs, from its error E1000 for a program that is too large, "available
HBM (15.75G)" and "(95.73G)", where G is 2^30. The pages above say 16 GB and 95 GB.
"""

from __future__ import annotations

import dataclasses

GBIT = 1e9 / 8
GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """A chip, the size of the group with fast links, and its share of the network between groups."""

    flops: dict[str, float]  # compute type -> flop/s
    memory: float  # bytes that programs can use
    bandwidth: float  # of the memory, bytes/s
    group: int  # chips connected by fast links: a server or a pod
    fast: float  # bytes/s per chip within the group, one direction
    slow: float  # bytes/s per chip to other groups, one direction


CHIPS = {
    "H100": Chip({"float32": 494e12, "bfloat16": 989e12}, 80e9, 3.35e12, 8, 450e9, 400 * GBIT),
    "TPU v5e": Chip({"float32": 197e12, "bfloat16": 197e12}, 15.75 * GIB, 819e9, 256, 1600 * GBIT, 6.4e12 / 8 / 256),
    "TPU v5p": Chip({"float32": 459e12, "bfloat16": 459e12}, 95.73 * GIB, 2765e9, 6144, 4800 * GBIT, 50 * GBIT),
}
