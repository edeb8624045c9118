"""Feeds: conversion of stored values to floats, and a run with its data in device memory."""

from __future__ import annotations

import sys

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import digest

from input_pipeline.loaders.in_memory import MemoryFeed
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.feed import to_float


def test_stored_values_become_floats_in_0_1():
    batch = {
        "low": jnp.array([[0, 51, 255]], jnp.uint8),
        "reference": jnp.array([[0, 13107, 65535]], jnp.uint16),
        "ratio": jnp.array([250.0]),
    }
    made = to_float(batch, input_kind="rgb")
    np.testing.assert_allclose(made["low"], [[0, 0.2, 1]], rtol=1e-7)
    np.testing.assert_allclose(made["reference"], [[0, 0.2, 1]], rtol=1e-7)
    np.testing.assert_array_equal(made["ratio"], [250])


@pytest.mark.parametrize("period", [2, 6])
def test_mosaic_is_normalised_by_the_levels_of_each_position(period):
    rng = np.random.default_rng(0)
    low = rng.integers(0, 16384, (2, 16, 14, 1)).astype(np.uint16)
    black = rng.uniform(400, 600, (2, period, period)).astype(np.float32)
    white = np.array([16383, 15000], np.float32)
    made = to_float({"low": low, "black": black, "white": white}, input_kind="mosaic")
    assert set(made) == {"low"}
    for b in range(2):
        for y in range(16):
            for x in range(14):
                level = black[b, y % period, x % period]
                expected = min(max(float(low[b, y, x, 0]) - level, 0) / (white[b] - level), 1)
                assert made["low"][b, y, x, 0] == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def resident(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "clu", None)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    return config(**{"data.loader": "in_memory"})


def test_in_memory_run_resumes_bitwise_equal(resident, tmp_path, capsys, monkeypatch):
    whole = train_and_evaluate(resident, tmp_path / "whole")
    assert "note: 5 decoded images in device memory" in capsys.readouterr().err
    batches = MemoryFeed.batches

    def stopping(self, **options):
        for step, fed in enumerate(batches(self, **options)):
            if step == 5:
                raise KeyboardInterrupt
            yield fed

    monkeypatch.setattr(MemoryFeed, "batches", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(resident, tmp_path / "parts")
    monkeypatch.setattr(MemoryFeed, "batches", batches)
    resumed = train_and_evaluate(resident, tmp_path / "parts")
    assert "resuming from checkpoint 4 of 8" in capsys.readouterr().err
    assert digest(resumed) == digest(whole)
