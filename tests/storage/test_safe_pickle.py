"""Pickles of arrays: read back exactly, without executing anything."""

import pickle

import numpy as np
import pytest

from ultrabm_jax.storage.pickle_objects import CorruptFile, UnsafePickle
from ultrabm_jax.storage.safe_pickle import load_arrays


def test_pickled_arrays_round_trip():
    tree = {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "c": np.asfortranarray(np.eye(3, 2))}}
    for protocol in (3, 4):
        got = load_arrays(pickle.dumps(tree, protocol), name="x")
        np.testing.assert_array_equal(got["a"]["b"], tree["a"]["b"])
        np.testing.assert_array_equal(got["a"]["c"], tree["a"]["c"])


def test_other_objects_are_refused(tmp_path):
    marker = tmp_path / "executed"

    class Hostile:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    with pytest.raises(UnsafePickle, match=r"x: refused: .*\.open"):
        load_arrays(pickle.dumps({"a": Hostile()}), name="x")
    assert not marker.exists()
    with pytest.raises(UnsafePickle, match="refused"):
        load_arrays(pickle.dumps({"a": np.array([{}], dtype=object)}), name="x")
    with pytest.raises(UnsafePickle, match="int where arrays"):
        load_arrays(pickle.dumps({"a": 1}), name="x")


def test_truncated_pickles():
    data = pickle.dumps({"a": np.arange(100.0)})
    for length in range(0, len(data) - 1, 31):
        with pytest.raises(CorruptFile, match="x is damaged"):
            load_arrays(data[:length], name="x")
