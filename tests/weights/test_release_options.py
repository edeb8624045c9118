import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.weights import IMPORTERS, release_options


def test_release_options_of_every_importer():
    options = {name: release_options(name) for name in IMPORTERS}
    assert options.pop("ultrabm") == {"compat": "ultrais", "semantic": "hrnet_w48"}
    assert options.pop("red") == {"variant": "code", "scale": 1}
    assert options.pop("zero_dce") == {"scale": 1}
    assert options.pop("sci") == {"stages": 1, "scale": 1}
    assert all(value == {} for value in options.values()), options


def test_release_options_are_a_copy():
    release_options("ultrabm")["compat"] = "paper"
    assert release_options("ultrabm")["compat"] == "ultrais"


def test_unknown_model_lists_known_ones():
    with pytest.raises(UserError, match=r"known: .*ultrabm"):
        release_options("nothing")
