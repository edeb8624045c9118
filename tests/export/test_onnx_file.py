"""Exported ONNX files, run in ONNX Runtime and OpenVINO. Skipped without the extra `onnx` and jax2onnx."""

from __future__ import annotations

import importlib.util
import re

import jax
import numpy as np
import pytest

from tests.export.conftest import make_source
from ultrabm_jax.errors import UserError
from ultrabm_jax.export import onnx_file
from ultrabm_jax.export.__main__ import main
from ultrabm_jax.export.onnx_file import ENGINES, export_onnx
from ultrabm_jax.extras import install

HAS_JAX2ONNX = importlib.util.find_spec("jax2onnx") is not None
needs_jax2onnx = pytest.mark.skipif(not HAS_JAX2ONNX, reason=f"jax2onnx is not installed: {install('jax2onnx')}")


@needs_jax2onnx
@pytest.mark.parametrize("name", ["sci", "zero_dce", "lw_drgn", "lw_drgn input_maps", "red", "ultrabm", "lolisrflow"])
def test_a_file_equals_the_network_in_each_engine(name, tmp_path):
    source, size = make_source(name), (40, 56)
    lines = list(export_onnx(source, tmp_path / "net.onnx", size))
    assert lines[0].startswith("in ONNX Runtime its output differs")
    assert lines[-1].endswith("40x56 pixels (height x width)")
    low = np.random.default_rng(1).random((1, *size, source.task.channels), np.float32) * 0.3
    expected = source.task.restore(source.variables, {"low": low})
    for engine, load in ENGINES.items():
        pytest.importorskip(engine.replace(" ", "").lower())
        restored = load((tmp_path / "net.onnx").read_bytes())(low)
        np.testing.assert_allclose(restored, expected, atol=onnx_file.TOLERANCE, err_msg=engine)


@needs_jax2onnx
def test_a_file_that_differs_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match=r"net\.onnx is not written: its output in ONNX Runtime differs"):
        list(export_onnx(make_source("sci"), tmp_path / "net.onnx", (16, 24)))
    assert list(tmp_path.iterdir()) == []


@needs_jax2onnx
def test_an_operation_that_cannot_be_converted_is_named(monkeypatch):
    def fail(*args, **kwargs):
        raise NotImplementedError("No plugins registered for primitive 'fft'")

    monkeypatch.setattr("jax2onnx.to_onnx", fail)
    with pytest.raises(UserError, match=r"jax2onnx cannot convert net: .*'fft'"):
        onnx_file.convert(lambda x: x, jax.ShapeDtypeStruct((1, 4, 4, 3), np.float32), name="net")


@pytest.mark.skipif(HAS_JAX2ONNX, reason="jax2onnx is installed")
def test_the_command_names_the_missing_package(tmp_path):
    with pytest.raises(UserError, match=re.escape(f"needs jax2onnx: {install('jax2onnx')}")):
        onnx_file.convert(lambda x: x, jax.ShapeDtypeStruct((1, 4, 4, 3), np.float32), name="net")


@needs_jax2onnx
@pytest.mark.parametrize("name", ["sci", "zero_dce", "lw_drgn", "lw_drgn input_maps", "red"])
def test_a_file_for_any_size_equals_the_network(name, tmp_path):
    source = make_source(name)
    m = source.task.multiple
    lines = list(export_onnx(source, tmp_path / "net.onnx", None))
    assert lines[-1].endswith(f"sides that are multiples of {m}")
    low = np.random.default_rng(1).random((1, 5 * m, 2 * m, source.task.channels), np.float32) * 0.3
    for engine, load in ENGINES.items():
        pytest.importorskip(engine.replace(" ", "").lower())
        restored = load((tmp_path / "net.onnx").read_bytes())(low)
        expected = source.task.restore(source.variables, {"low": low})
        np.testing.assert_allclose(restored, expected, atol=onnx_file.TOLERANCE, err_msg=engine)


def test_without_a_size_the_error_names_the_reason(tmp_path, monkeypatch):
    def fail(function, low, *, name):
        raise onnx_file.ConversionError(f"jax2onnx cannot convert {name}: reshape")

    monkeypatch.setattr(onnx_file, "convert", fail)
    with pytest.raises(UserError, match=r"jax2onnx cannot convert tiny_sci: reshape\. .*any size.* --size HxW"):
        list(export_onnx(make_source("sci"), tmp_path / "net.onnx", None))
    with pytest.raises(UserError, match=r"jax2onnx cannot convert tiny_sci: reshape$"):
        list(export_onnx(make_source("sci"), tmp_path / "net.onnx", (16, 24)))


def test_a_program_that_an_engine_cannot_run_is_not_written(tmp_path, monkeypatch):
    def load(model):
        def engine(low):
            raise RuntimeError("Reshape: wrong shape\nstack")

        return engine

    monkeypatch.setattr(onnx_file, "onnx_program", lambda source, size: b"")
    monkeypatch.setattr(onnx_file, "ENGINES", {"ONNX Runtime": load})
    with pytest.raises(UserError, match=r"net\.onnx is not written: ONNX Runtime cannot run it: Reshape: wrong shape$"):
        list(export_onnx(make_source("sci"), tmp_path / "net.onnx", (16, 24)))
    assert list(tmp_path.iterdir()) == []


@needs_jax2onnx
def test_the_command(tmp_path, shared, monkeypatch, capsys):
    monkeypatch.setenv("ULTRABM_ASSETS", str(shared / "assets"))
    path = tmp_path / "sci.onnx"
    assert main(["sci", "--format", "onnx", "--size", "20x30", "--output", str(path)]) == 0
    assert "20x30 pixels" in capsys.readouterr().out
    assert onnx_file.load_onnx_runtime(path.read_bytes())(np.zeros((1, 20, 30, 3), np.float32)).shape == (1, 20, 30, 3)


def test_a_file_that_no_engine_can_check_is_not_written(tmp_path, monkeypatch):
    def missing(model):
        raise ModuleNotFoundError("no engine")

    monkeypatch.setattr(onnx_file, "onnx_program", lambda source, size: b"")
    monkeypatch.setattr(onnx_file, "ENGINES", {"ONNX Runtime": missing, "OpenVINO": missing})
    with pytest.raises(UserError, match=r"net\.onnx is not written, because no engine is installed to check it"):
        list(export_onnx(make_source("sci"), tmp_path / "net.onnx", (16, 24)))
    assert list(tmp_path.iterdir()) == []
