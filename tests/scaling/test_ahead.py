"""Compilation for absent chips: targets, counted arithmetic, bounds, the largest batch, real TPU and GPU programs."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.scaling import ahead
from ultrabm_jax.scaling.arithmetic import product_flops
from ultrabm_jax.scaling.chips import CHIPS
from ultrabm_jax.scaling.compiled_program import compile_ahead, memory_refusal, peak_bytes
from ultrabm_jax.scaling.largest_batch import largest_batch
from ultrabm_jax.scaling.roofline import roofline
from ultrabm_jax.scaling.targets import Target, parse_target

SMALL = ahead.Case("lw_drgn_lol_small", "restore", "tpu:v5e:2x2", 1, (32, 32))


def test_targets_are_parsed():
    assert parse_target("tpu:v5p:4x4x4") == Target("tpu", "v5p", "4x4x4")
    assert parse_target("gpu:h100:8").chip is CHIPS["H100"]
    assert parse_target("cpu:8").chip is None
    for text in ("tpu:v5e", "tpu:v9:2x2", "gpu:8", "cpu", "cpu:8x8"):
        with pytest.raises(UserError, match="is not of the form"):
            parse_target(text)


def flops(function, *shapes):
    args = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return product_flops(jax.jit(function).trace(*args).jaxpr.jaxpr)


def convolve(x, kernel, stride=1):
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def test_products_are_counted_and_loops_multiplied():
    product = 2 * 4 * 8 * 16
    assert flops(jnp.matmul, (4, 8), (8, 16)) == product
    looped = lambda a, b: jax.lax.scan(lambda c, x: (c + x @ b, None), jnp.zeros((4, 16)), a)[0]  # noqa: E731
    assert flops(looped, (5, 4, 8), (8, 16)) == 5 * product
    forward = 2 * 8 * 8 * 4 * 9 * 8
    assert flops(lambda x, k: convolve(x, k, 2), (1, 16, 16, 8), (3, 3, 8, 4)) == forward
    gradient = jax.grad(lambda x, k: (convolve(x, k, 2) ** 2).sum(), argnums=(0, 1))
    assert flops(gradient, (1, 16, 16, 8), (3, 3, 8, 4)) == 3 * forward


def test_a_compiled_program_is_measured_and_bounded():
    traced = jax.jit(lambda x: x @ x).trace(jax.ShapeDtypeStruct((256, 256), jnp.float32))
    found = compile_ahead(traced, devices=1)
    assert found["accepted"]
    assert found["flops"] == 2 * 256**3
    assert peak_bytes(found) >= 2 * 4 * 256**2
    assert found["collectives"] == {}
    chip = CHIPS["TPU v5e"]
    bounds = roofline(found, chip, dtype="float32")
    assert bounds.arithmetic == 2 * 256**3 / 197e12
    assert bounds.bandwidth >= 2 * 4 * 256**2 / 819e9
    assert (bounds.communication, bounds.limit) == (0, "bandwidth")
    assert 0 < bounds.utilisation < 1


@pytest.mark.parametrize("largest", [0, 1, 2, 3, 21, 64, 100])
def test_the_largest_batch_is_found(largest):
    asked = []
    assert largest_batch(lambda batch: asked.append(batch) or batch <= largest, limit=100) == largest
    assert len(asked) <= 15
    assert max(asked) <= 100


def test_only_errors_of_memory_are_refusals():
    text = "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 23.58G of 15.75G hbm. Exceeded by 7.83G."
    assert memory_refusal(text) == "Used 23.58G of 15.75G hbm"
    assert memory_refusal("INTERNAL: something else") == ""


def test_rows_are_read_again(tmp_path):
    file = tmp_path / "rows.jsonl"
    assert ahead.read_rows(file) == []
    row = {"case": dataclasses.asdict(SMALL), "dtype": "", "result": None, "error": "not compiled within 3 s"}
    file.write_text(json.dumps(row) + "\n")
    (read,) = ahead.read_rows(file)
    assert ahead.is_case(read, SMALL)
    assert not ahead.is_case(read, dataclasses.replace(SMALL, batch=2))
    assert ahead.cells(read)[:6] == [SMALL.config, "restore", SMALL.target, "1", "32x32", "not compiled within 3 s"]
    assert len(ahead.cells(read)) == len(ahead.HEADER)


@pytest.mark.parametrize(
    "target", ["tpu:v5e:2x2", pytest.param("gpu:h100:1", marks=pytest.mark.soak)], ids=lambda text: text[:3]
)
def test_a_program_compiles_for_an_absent_chip(target):
    if reason := parse_target(target).missing():
        pytest.skip(reason)
    row = ahead.compile_in_process(dataclasses.replace(SMALL, target=target), phase=-1)
    assert row["error"] == ""
    assert ahead.fits(row)
    assert row["result"]["flops"] > 1e6
    assert row["result"]["collectives"] == {}
    assert len(ahead.cells(row)) == len(ahead.HEADER)
