import jax
import numpy as np
import pytest

from tests.export.conftest import make_source
from ultrabm_jax.errors import UserError
from ultrabm_jax.export.__main__ import main, parse_size
from ultrabm_jax.export.stablehlo import PLATFORMS, export_stablehlo


def load(path):
    return jax.export.deserialize(bytearray(path.read_bytes()))


@pytest.mark.parametrize("name", ["sci", "zero_dce", "lw_drgn", "red"])
def test_a_program_for_any_size_equals_the_network(name, tmp_path):
    source = make_source(name)
    lines = list(export_stablehlo(source, tmp_path / "net.stablehlo", None))
    assert lines[0].endswith(f"sides that are multiples of {source.task.multiple}")
    assert "batches of 1 and 2" in lines[1]
    program = load(tmp_path / "net.stablehlo")
    assert program.platforms == PLATFORMS
    m = source.task.multiple
    low = np.random.default_rng(1).random((3, 4 * m, 2 * m, source.task.channels), np.float32) * 0.3
    expected = source.task.restore(source.variables, {"low": low})
    np.testing.assert_allclose(program.call(low), expected, atol=1e-5)


def test_a_program_for_one_size_takes_any_batch_and_no_other_size(tmp_path):
    source = make_source("lw_drgn")
    list(export_stablehlo(source, tmp_path / "net.stablehlo", (24, 40)))  # not multiples of 16: the network pads
    program = load(tmp_path / "net.stablehlo")
    assert program.call(np.zeros((5, 24, 40, 3), np.float32)).shape == (5, 24, 40, 3)
    with pytest.raises(ValueError, match="24"):
        program.call(np.zeros((1, 32, 40, 3), np.float32))


def test_the_command_and_its_sizes(tmp_path, shared, monkeypatch, capsys):
    monkeypatch.setenv("ULTRABM_ASSETS", str(shared / "assets"))
    assert main(["sci", "--format", "stablehlo", "--size", "20x30", "--output", str(tmp_path / "sci.stablehlo")]) == 0
    assert "20x30 pixels" in capsys.readouterr().out
    assert load(tmp_path / "sci.stablehlo").call(np.zeros((1, 20, 30, 3), np.float32)).shape == (1, 20, 30, 3)
    assert parse_size("free") is None
    for wrong in ("20", "20x", "axb", "0x4", "1x2x3"):
        with pytest.raises(UserError, match="a size is HEIGHTxWIDTH, such as 384x512, not"):
            parse_size(wrong)
