"""Checks whether XLA keeps the barriers that rematerialisation needs, by the memory of a chain of convolutions.

    python benchmarks/remat_barriers.py
    XLA_FLAGS=--xla_disable_hlo_passes=cse,cse_barrier_expander,optimization-barrier-expander \
        python benchmarks/remat_barriers.py

12 blocks of 4 convolutions (16 channels, 4 images of 64x64) are compiled but not run. If the compiled program has fewer
convolutions than were requested, XLA merged some of the recomputation with the first computation.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

BLOCKS, DEPTH, WIDTH = 12, 4, 16


def block(kernel: jax.Array, x: jax.Array) -> jax.Array:
    for _ in range(DEPTH):
        x = jax.nn.gelu(
            jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        )
    return x


def loss(kernels: list[jax.Array], x: jax.Array, remat: bool) -> jax.Array:
    apply = jax.checkpoint(block) if remat else block
    for kernel in kernels:
        x = apply(kernel, x)
    return jnp.sum(x**2)


def main() -> None:
    kernels = [jax.ShapeDtypeStruct((3, 3, WIDTH, WIDTH), jnp.float32)] * BLOCKS
    x = jax.ShapeDtypeStruct((4, 64, 64, WIDTH), jnp.float32)
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}")
    for remat in (False, True):
        lowered = jax.jit(jax.grad(loss), static_argnums=2).lower(kernels, x, remat)
        compiled = lowered.compile()
        requested = lowered.as_text().count("stablehlo.convolution")
        kept = compiled.as_text().count("convolution(")
        temporary = compiled.memory_analysis().temp_size_in_bytes / 2**20
        print(f"{remat=}: {requested} convolutions requested, {kept} compiled, {temporary:.0f} MiB")


if __name__ == "__main__":
    main()
