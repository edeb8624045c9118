"""`ultrabm-jax speed`: what it measures, the JSON file, and the networks that it finds."""

from __future__ import annotations

import datetime
import json

import pytest

from ultrabm_jax.commands.speed import find_network, main
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.speed import Size, paper_sizes, parse_size


def test_a_bundled_model_is_measured_and_written(tmp_path, capsys):
    path = tmp_path / "speed.json"
    assert main(["lw_drgn_lol", "--size", "16x24", "--repeats", "1", "--output", str(path)]) == 0
    (record,) = json.loads(path.read_text())["speed"]
    assert (record["name"], record["scale"], record["model"]["name"]) == ("lw_drgn_lol", 1, "lw_drgn")
    values = record["speed"]
    assert (values["input"], values["parameters"]) == ("16x24", 331_113)
    assert values["gmacs_one_generator"] == values["gmacs_convolutions"] > 0  # dl_da=False: one network
    assert min(values["milliseconds"], values["memory_gib"], values["cores"]) > 0
    assert values["device"]
    assert datetime.date.fromisoformat(record["date"])
    assert {"python", "jax", "flax"} <= set(record["versions"])
    printed = capsys.readouterr().out
    assert "331,113" in printed
    assert values["device"] in printed


def test_an_experiment_has_random_parameters_and_takes_overrides():
    network = find_network("drgn_lol", ["--config.model.variant=small"])
    assert network.model["variant"] == "small"
    assert (network.task.name, network.task.scale) == ("drgn", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], r"unknown model 'nothing'; .*experiments: .*drgn_lol"),
        (["gamma"], "gamma is a formula without a network"),
        (["lw_drgn_lol", "--size", "16"], "a size is HEIGHTxWIDTH, such as 384x512, not '16'"),
        (["lw_drgn_lol", "--size", "0x16"], "a size is HEIGHTxWIDTH"),
        (["lw_drgn_lol", "--repeats", "0"], "a number of calls, 1 or more"),
        (["lw_drgn_lol", "--wrong"], "unknown arguments: --wrong"),
    ],
    ids=str,
)
def test_errors_name_the_cause(arguments, message):
    with pytest.raises(UserError, match=message):
        main(arguments)


def test_sizes_of_the_papers():
    assert paper_sizes("red") == ((512, 512), (2848, 4256), (4032, 6032))
    assert [str(size) for name in ("ultrabm", "lw_drgn", "zero_dce") for size in paper_sizes(name)] == [
        "128x128", "384x384", "384x384"]  # fmt: skip
    assert parse_size("384x512") == Size(384, 512)
