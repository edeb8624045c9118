"""Averages of bundled models."""

import numpy as np
import pytest

from ultrabm_jax import cli
from ultrabm_jax.pretrained import pretrained_weights
from ultrabm_jax.storage.safetensors_file import read_safetensors
from ultrabm_jax.tools import average

NAMES = ["lw_drgn_lol", "lw_drgn_photo"]


def test_weighted_average_of_two_bundled_models(tmp_path):
    output = tmp_path / "average.safetensors"
    assert average.main([*NAMES, "--output", str(output), "--weights", "1", "3"]) == 0
    result = read_safetensors(output)
    one, other = (read_safetensors(pretrained_weights(name)) for name in NAMES)
    assert result.keys() == one.keys() == other.keys()
    for name, array in result.items():
        assert array.dtype == np.float32
        expected = 0.25 * one[name].astype(np.float64) + 0.75 * other[name].astype(np.float64)
        np.testing.assert_allclose(array, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lw_drgn_lol"], "give two or more models"),
        ([*NAMES, "--weights", "1"], "one number of at least 0 for each of the 2 models"),
        ([*NAMES, "--weights", "0", "0"], "not all 0"),
        (["lw_drgn_lol", "ultrabm_small_lol_x2"], "ultrabm_small_lol_x2 and lw_drgn_lol are different networks: "),
    ],
)
def test_misuse_gives_one_line(tmp_path, capsys, arguments, message):
    status = cli.run(lambda: average.main([*arguments, "--output", str(tmp_path / "a.safetensors")]))
    printed = capsys.readouterr().err
    assert status == 1
    assert printed.count("\n") == 1
    assert message in printed
    assert not list(tmp_path.iterdir())
