"""The subset in this folder equals the full set of reference values, where a developer has it; checks can fail."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent
FROM_THE_RULE = ("red_32x32", "red_96x160", "sci", "zerodce_bus", "zerodce_plant")


def load(name):
    spec = importlib.util.spec_from_file_location(f"subset_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


oracle = load("oracle")
FILES = [file for file in oracle.INDEX if Path(file).stem not in FROM_THE_RULE]


@pytest.mark.parametrize("file", FILES)
def test_arrays_and_tolerances_are_those_of_the_full_set(shared, parity, file):
    full, subset = parity(file.replace("_odd", "")), np.load(FOLDER / file)
    for key, entry in oracle.INDEX[file].items():
        array = full[key][:1] if file == "open/blocks.npz" else full[key]
        assert list(array.shape) == entry["shape"]
        np.testing.assert_array_equal(array.reshape(-1)[:: entry["step"]], subset[key].reshape(-1), err_msg=key)
        if key in full.t:
            assert entry["tolerance"] == full.tol(key)


def test_large_outputs_are_sampled_in_every_row_column_and_channel():
    for file, entries in oracle.INDEX.items():
        for key, entry in entries.items():
            assert entry["step"] == 1 or all(side % entry["step"] for side in entry["shape"]), (file, key)


@pytest.mark.parametrize("name", ["ultrais_x2", "ultrais_x4", "hrnet_w48", "vgg19_features"])
def test_the_rule_and_its_listings_are_those_of_the_full_set(shared, name):
    folder = shared / "reference" / "parity"
    listed = (folder / "state_dicts" / f"{name}_state_dict.txt").read_bytes()
    assert gzip.decompress((FOLDER / "state_dicts" / f"{name}.txt.gz").read_bytes()) == listed
    spec = importlib.util.spec_from_file_location("full_rule", folder / "weights_rule.py")
    full = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(full)
    rule = load("weights_rule")
    gains = "vgg19" if name.startswith("vgg19") else "ultrais"
    for tensor, shape in rule.read_spec(name)[::37]:
        expected = full.tensor(tensor, shape, full.GAINS[gains])
        np.testing.assert_array_equal(rule.make_tensor(tensor, shape, rule.GAINS[gains], ""), expected)


def test_metric_values_are_those_of_the_full_set(shared):
    full = json.loads((shared / "reference" / "iqa" / "vectors.json").read_text())
    subset = json.loads((FOLDER / "iqa" / "vectors.json").read_text())
    for part in ("images", "full_reference", "no_reference"):
        assert subset[part].items() <= full[part].items()


def test_no_file_is_larger_than_one_mebibyte():
    assert max(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 2**20


def test_check_fails_on_another_value_and_on_another_shape():
    values = oracle.Oracle("open/zerodce_bus.npz")
    shape, stored = values.index["y"]["shape"], values.arrays["y"]
    full = np.zeros(np.prod(shape), np.float32)
    full[:: values.index["y"]["step"]] = stored.reshape(-1)
    assert values.check("y", full.reshape(shape)) == 0
    with pytest.raises(AssertionError, match="max"):
        values.check("y", full.reshape(shape) + 1e-3)
    with pytest.raises(AssertionError):
        values.check("y", full.reshape(shape)[:, 1:])


def test_a_sampled_output_cannot_serve_as_an_input():
    values = oracle.Oracle("open/zerodce_bus.npz")
    assert values.index["curves"]["step"] > 1
    with pytest.raises(KeyError, match="use check"):
        values["curves"]
