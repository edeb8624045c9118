"""What the commands of `python -m ultrabm_jax.scaling` print, and the flags that they refuse."""

import math

import jax
import pytest

from ultrabm_jax.config_flags import read_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.methods import create_method
from ultrabm_jax.scaling.__main__ import main
from ultrabm_jax.scaling.residuals import residual_bytes
from ultrabm_jax.scaling.step import abstract_state, trace_for
from ultrabm_jax.training.sharding import make_mesh


@pytest.fixture
def table(capsys):
    """`table(*arguments)`: the rows of the Markdown table that the command prints, without the rule."""

    def printed(*arguments):
        main([*map(str, arguments)])
        lines = capsys.readouterr().out.splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return [rows[0], *rows[2:]]

    return printed


def test_footprint_states_mib_of_each_part(table):
    head, one, *_ = table("footprint", "--config", "lw_drgn_lol")
    state = abstract_state(create_method(read_config("lw_drgn_lol", ())))
    parameters = sum(4 * math.prod(leaf.shape) for leaf in jax.tree.leaves(state.params))
    found = dict(zip(head, one, strict=True))
    assert found["parameters MiB"] == found["gradients MiB"] == f"{parameters / 2**20:.1f}"
    assert float(found["state MiB"]) > 2.9 * float(found["parameters MiB"])  # with two moments


def test_memory_names_the_compute_type_and_repeats_no_row(table):
    arguments = ("memory", "--config", "lw_drgn_lol_small", "--batch", 2, "--patch", 16, "--dry")
    kept = dict(table(*arguments)[1:])
    assert list(kept)[:2] == ["float32", "bfloat16"]
    expected = residual_bytes(read_config("lw_drgn_lol_small", ()), batch=2, patch=16)
    assert kept["float32"] == f"{expected / 2**20:,.1f}"
    half = dict(table(*arguments, "--config.model.dtype=bfloat16")[1:])
    assert list(half) == [name for name in kept if name != "float32"]
    assert half["bfloat16"] == kept["bfloat16"]


@pytest.mark.parametrize("flag", ["--batch", "--patch", "--devices", "--size"])
@pytest.mark.parametrize("value", ["0", "-4", "x"])
def test_numbers_are_at_least_1(flag, value, capsys):
    values = [value, "8"] if flag == "--size" else [value]
    with pytest.raises(SystemExit):
        main(["memory", "--config", "quickstart", flag, *values])
    assert "at least 1" in capsys.readouterr().err


def test_a_phase_that_the_method_lacks_is_an_error():
    config = read_config("lw_drgn_lol_small", ())
    mesh = make_mesh(config.mesh, devices=jax.devices()[:1])
    with pytest.raises(UserError, match=r"--phase 7: the method has the phases 0 to \d"):
        trace_for(config, mesh, per_device=1, patch=16, phase=7)
