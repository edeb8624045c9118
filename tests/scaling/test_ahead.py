"""Compilation for absent chips: targets, counted arithmetic, bounds, the largest batch, real TPU and GPU programs."""

import dataclasses
import gzip
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.scaling import ahead, ahead_tables
from ultrabm_jax.scaling.arithmetic import product_flops
from ultrabm_jax.scaling.assigned_buffers import Buffers, read_buffers
from ultrabm_jax.scaling.chips import CHIPS
from ultrabm_jax.scaling.compiled_program import compile_ahead, memory_refusal, peak_bytes
from ultrabm_jax.scaling.fingerprint import fingerprint
from ultrabm_jax.scaling.largest_batch import largest_batch
from ultrabm_jax.scaling.roofline import roofline
from ultrabm_jax.scaling.targets import Target, parse_target

SMALL = ahead.Case("lw_drgn_lol_small", "restore", "tpu:v5e:2x2", 1, (32, 32))


def test_targets_are_parsed():
    assert parse_target("tpu:v5p:4x4x4") == Target("tpu", "v5p", "4x4x4")
    assert parse_target("gpu:h100:8").chip is CHIPS["H100"]
    assert parse_target("cpu:8").chip is None
    for text in ("tpu:v5e", "tpu:v9:2x2", "gpu:8", "cpu", "cpu:8x8", "cpu:0", "gpu:h100:0", "tpu:v5e:0x2"):
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
    found = compile_ahead(traced.lower(), flops=product_flops(traced.jaxpr.jaxpr), devices=1)
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


def row_of(case, **fields):
    row = {"case": dataclasses.asdict(case), "dtype": "", "result": None, "error": "", "fingerprint": "", "twin": ""}
    return row | {"code": True} | fields


def lowered_text(function):
    return jax.jit(function).lower(jax.ShapeDtypeStruct((4, 4), jnp.float32)).as_text()


def test_programs_that_differ_in_scalar_factors_have_one_fingerprint():
    whole = fingerprint(lowered_text(lambda x: 0.25 * x @ x))
    assert fingerprint(lowered_text(lambda x: 0.5 * x @ x)) == whole
    for other in (lambda x: 1.0 * x @ x, lambda x: 0.0 * x @ x, lambda x: 0.25 * x @ x.T, lambda x: 0.25 * x + x):
        assert fingerprint(lowered_text(other)) != whole
    table = np.full((4, 4), 0.25, np.float32)  # only scalars are factors
    assert fingerprint(lowered_text(lambda x: x @ table)) != fingerprint(lowered_text(lambda x: x @ (2 * table)))


def test_only_compiled_programs_of_the_same_target_are_twins():
    result = {"flops": 1.0}
    compiled = row_of(SMALL, fingerprint="a", result=result)
    other = dataclasses.replace(SMALL, config="lw_drgn_lol")
    known = [
        row_of(SMALL, error="not compiled within 3 s"),
        row_of(dataclasses.replace(SMALL, target="tpu:v5p:2x2x1"), fingerprint="a", result=result),
        row_of(other, fingerprint="a", result=result, twin="lw_drgn_lol_small"),
        row_of(SMALL, fingerprint="b", result=result),
    ]
    asked = row_of(other, fingerprint="a")
    assert ahead.find_twin(asked, known) is None
    assert ahead.find_twin(asked, [*known, compiled]) is compiled


def test_configs_that_differ_in_data_only_are_compiled_once(tmp_path, monkeypatch):
    first = ahead.Case("lw_drgn_lol_small", "restore", "cpu:1", 1, (32, 32))
    compiled = ahead.compile_case(first, hlo=tmp_path / "hlo")
    assert (compiled["twin"], compiled["result"]["accepted"]) == ("", True)
    (text,) = (tmp_path / "hlo").iterdir()
    assert text.name == "lw_drgn_lol_small-restore-cpu-1.txt.gz"
    assert gzip.decompress(text.read_bytes()).startswith(b"HloModule")
    monkeypatch.setattr(ahead, "compile_ahead", None)  # a second compilation would fail
    twin = ahead.compile_case(dataclasses.replace(first, config="lw_drgn_lol"), known=[compiled])
    assert twin["result"] == compiled["result"]
    assert twin["twin"] == "lw_drgn_lol_small"
    assert ahead_tables.cells(twin)[-1] == "lw_drgn_lol_small"


def test_a_compilation_whose_time_is_over_leaves_no_files(tmp_path, monkeypatch):
    slow, scratch = tmp_path / "python", tmp_path / "scratch"
    slow.write_text(f'#!/bin/sh\necho "$TMPDIR" > {scratch}\nmktemp -d || exit\nexec sleep 60\n')
    slow.chmod(0o755)
    monkeypatch.setattr(ahead.sys, "executable", str(slow))
    case = dataclasses.replace(SMALL, target="cpu:8")
    assert ahead.compile_in_process(case, phase=-1, timeout=5)["error"] == "not compiled within 5 s"
    folder = Path(scratch.read_text().strip())
    assert folder.name.startswith("ultrabm_")
    assert not folder.exists()


def test_rows_are_read_again(tmp_path):
    file = tmp_path / "rows.jsonl"
    assert ahead.read_rows(file) == []
    row = row_of(SMALL, error="not compiled within 3 s")
    file.write_text(json.dumps(row) + "\n")
    (read,) = ahead.read_rows(file)
    assert ahead.is_case(read, SMALL)
    assert not ahead.is_case(read, dataclasses.replace(SMALL, batch=2))
    assert ahead_tables.cells(read)[:6] == [
        SMALL.config,
        "restore",
        SMALL.target,
        "1",
        "32x32",
        "not compiled within 3 s",
    ]
    assert len(ahead_tables.cells(read)) == len(ahead_tables.HEADER)


def test_a_damaged_file_of_rows_names_the_line(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"error": ""}\n{"case": ')
    with pytest.raises(UserError, match=r"rows\.jsonl: line 2 is not a row of this command, delete it"):
        ahead.read_rows(file)


def test_only_programs_that_were_given_less_time_are_compiled_again(tmp_path, monkeypatch):
    compiled = []

    def compile_in_process(case, **options):
        compiled.append(options["timeout"])
        return row_of(case, error=f"not compiled within {options['timeout']} s" if options["timeout"] else "failed")

    monkeypatch.setattr(ahead, "compile_in_process", compile_in_process)
    for timeout in (3, 3, 2, 1800.5, 1800, None, None, 2000):
        row = ahead.obtain(SMALL, phase=-1, file=tmp_path / "rows.jsonl", timeout=timeout)
    assert compiled == [3, 1800.5, None]
    assert row["error"] == "failed"
    assert len(ahead.read_rows(tmp_path / "rows.jsonl")) == 3


def test_machine_code_is_generated_if_it_is_wanted(tmp_path, monkeypatch):
    compiled = []

    def compile_in_process(case, *, code, timeout, **options):
        compiled.append(code)
        if code and timeout:
            return row_of(case, error=f"not compiled within {timeout} s")
        return row_of(case, result={"flops": 1.0}, code=code, fingerprint="a")

    monkeypatch.setattr(ahead, "compile_in_process", compile_in_process)
    file = tmp_path / "rows.jsonl"
    for code, timeout in ((True, 3), (False, 3), (False, 3), (True, 3), (True, None), (True, None), (False, None)):
        row = ahead.obtain(SMALL, phase=-1, file=file, timeout=timeout, code=code)
        assert row["code"] or not code
    assert compiled == [True, False, True]
    for _ in range(2):
        ahead.obtain(dataclasses.replace(SMALL, target="gpu:h100:8"), phase=-1, file=file, timeout=3, code=False)
    assert compiled == [True, False, True, True]  # a GPU's compiler generates code in any case
    plain, whole = row_of(SMALL, code=False, fingerprint="a"), row_of(SMALL, fingerprint="a")
    known = [row_of(SMALL, result={"flops": 1.0}, code=False, fingerprint="a")]
    assert ahead.find_twin(plain, known) is known[0]
    assert ahead.find_twin(whole, known) is None


def test_buffers_are_read_from_the_assignment():
    text = "\n".join(
        (
            "BufferAssignment:",
            "allocation 0: size 512, page 0, thread-local:",
            " value: <3 add @0> (size=512,offset=0): f32[]{:T(128)}",
            "allocation 1: size 4096, page 0, parameter 0, shape |f32[8,128]| at ShapeIndex {}:",
            "allocation 2: size 8192, page 0, parameter 1, shape |f32[16,128]| at ShapeIndex {}, maybe-live-out:",
            "allocation 3: size 1024, page 0, constant:",
            "allocation 4: size 2048, page 0, output shape is |f32[4,128]|, maybe-live-out:",
            "allocation 5: size 65536, page 0, preallocated-temp:",
            "allocation 6: size 131072, color 1, page 0, preallocated-temp:",
        )
    )
    assert read_buffers(text) == Buffers(arguments=4096 + 8192, outputs=2048, temporary=512 + 1024 + 65536)


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
    assert len(ahead_tables.cells(row)) == len(ahead_tables.HEADER)


def test_a_tpu_program_without_machine_code_has_the_same_figures():
    if reason := parse_target(SMALL.target).missing():
        pytest.skip(reason)
    whole, plain = (ahead.compile_in_process(SMALL, phase=-1, code=code)["result"] for code in (True, False))
    assert (whole["code"], plain["code"]) == (True, False)
    differ = ("code", "compile_seconds", "temporary")  # libtpu states 0 for little temporary memory
    assert {name: plain[name] for name in plain if name not in differ} == {
        name: whole[name] for name in whole if name not in differ
    }
    assert whole["temporary"] <= plain["temporary"] < whole["temporary"] + 2**23


def test_red_for_a_tpu_moves_less_than_a_tenth_of_its_padded_pairs_of_columns():
    """The usual pixel shuffles store pairs of columns in tiles of 128: 2,800 bytes for each sample at this size."""
    case = dataclasses.replace(SMALL, config="red_synthetic", size=(1024, 1024))
    if reason := parse_target(case.target).missing():
        pytest.skip(reason)
    result = ahead.compile_in_process(case, phase=-1, code=False)["result"]
    assert 0 < result["accessed"] < 280 * 1024**2
