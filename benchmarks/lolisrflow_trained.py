"""Diagnostics of a trained LoLiSRFlow on its evaluation images: inversion error, likelihood, quality and diversity.

    python benchmarks/lolisrflow_trained.py --workdir DIR --root LOL [--count 5] [--temperatures 0 0.3 0.7]

Prints one line of JSON per image, then the means. `inverse_error` is the largest |F^-1(F(y)) - y| of the reference y in
[0, 1]; `nll` is in bits per pixel, as in training; `psnr_rgb_tT` is that of one sample at temperature T;
`distance_tT` is the root mean squared difference from the sample at the first temperature.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from input_pipeline import open_source
from ultrabm_jax.cli import enable_compilation_cache
from ultrabm_jax.inference.runs import Run, load_trained
from ultrabm_jax.metrics import compute
from ultrabm_jax.models.lolisrflow.likelihood import dequantise, quantisation_bits
from ultrabm_jax.typing import PyTree, Variables

Measure: TypeAlias = Callable[[Variables, jax.Array, jax.Array, jax.Array], dict[str, jax.Array]]


def make_measure(run: Run, temperatures: list[float]) -> Measure:
    """A program that measures one image: (variables, low, reference, key) -> {name: ()}."""

    @jax.jit
    def measure(variables: Variables, low: jax.Array, reference: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        def apply(*inputs: jax.Array, method: str) -> PyTree:
            options = {} if method in ("condition", "latent") else {"condition": condition}
            return run.model.apply(variables, *inputs, method=method, **options)

        condition = apply(low, method="condition")
        noise_key, key = jax.random.split(key)
        encoded = apply(dequantise(noise_key, reference), low, method="encode")
        exact = apply(reference, low, method="encode")
        noise = jax.random.normal(key, reference.shape)
        latents = [exact["z"], *(apply(condition, t * noise, method="latent") for t in temperatures)]
        restored = jax.lax.map(lambda z: apply(z, low, method="decode")["restored"], jnp.stack(latents))
        samples = jnp.clip(restored[1:], 0, 1)
        found = {
            "inverse_error": jnp.max(jnp.abs(restored[0] - reference)),
            "nll": encoded["nll"][0] + quantisation_bits(),
        }
        for t, sample in zip(temperatures, samples, strict=True):
            found[f"psnr_rgb_t{t:g}"] = compute("psnr_rgb", sample, reference)[0]
            found[f"distance_t{t:g}"] = jnp.sqrt(jnp.mean((sample - samples[0]) ** 2))
        return found

    return measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--root", required=True, help="folder of the data set")
    parser.add_argument("--checkpoint", default="best")
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.0, 0.3, 0.7])
    args = parser.parse_args()
    enable_compilation_cache()
    run = load_trained(args.workdir, args.checkpoint)
    run.config.data.root = args.root
    source = open_source(run.config.data, scale=int(run.config.model.scale), split="eval")
    measure, rows = make_measure(run, args.temperatures), []
    for i in range(min(args.count, len(source))):
        low, reference = (jnp.asarray(x[None], jnp.float32) / 255 for x in source.pair(i))
        found = measure(run.variables, low, reference, jax.random.key(i))
        rows.append({name: float(value) for name, value in found.items()})
        print(json.dumps({"image": source.name(i), **{k: round(v, 6) for k, v in rows[-1].items()}}), flush=True)
    means = {name: round(float(np.mean([row[name] for row in rows])), 6) for name in rows[0]}
    largest = max(row["inverse_error"] for row in rows)
    print(json.dumps({"step": run.step, "count": len(rows), "largest_inverse_error": largest, "mean": means}))


if __name__ == "__main__":
    main()
