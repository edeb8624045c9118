"""Averages of models of one network."""

import jax
import numpy as np
import pytest

from ultrabm_jax import cli
from ultrabm_jax.export.source import open_source
from ultrabm_jax.pretrained import pretrained_weights
from ultrabm_jax.storage.safetensors_file import read_safetensors
from ultrabm_jax.tools import average

NAMES = ["lw_drgn_photo", "further_trained"]


@pytest.fixture(autouse=True)
def further_trained(monkeypatch):
    """A second model of the network of lw_drgn_photo, whose parameters are larger by 1."""

    def open_model(name, *, checkpoint):
        if name != "further_trained":
            return open_source(name, checkpoint=checkpoint)
        source = open_source("lw_drgn_photo")
        return source._replace(name=name, variables=jax.tree.map(lambda x: x + 1, source.variables))

    monkeypatch.setattr(average, "open_source", open_model)


def test_weighted_average_of_two_models(tmp_path):
    output = tmp_path / "average.safetensors"
    assert average.main([*NAMES, "--output", str(output), "--weights", "1", "3"]) == 0
    result, one = read_safetensors(output), read_safetensors(pretrained_weights("lw_drgn_photo"))
    assert result.keys() == one.keys()
    for name, array in result.items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, one[name].astype(np.float64) + 0.75, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lw_drgn_photo"], "give two or more models"),
        ([*NAMES, "--weights", "1"], "one number of at least 0 for each of the 2 models"),
        ([*NAMES, "--weights", "0", "0"], "not all 0"),
        (["lw_drgn_photo", "ultrabm_small_lol_x2"], "ultrabm_small_lol_x2 and lw_drgn_photo are different networks: "),
    ],
)
def test_misuse_gives_one_line(tmp_path, capsys, arguments, message):
    status = cli.run(lambda: average.main([*arguments, "--output", str(tmp_path / "a.safetensors")]))
    printed = capsys.readouterr().err
    assert status == 1
    assert printed.count("\n") == 1
    assert message in printed
    assert not list(tmp_path.iterdir())
