"""A network with the layers that make tiling hard: a local filter, pooling and a global mean."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax import cli
from ultrabm_jax.commands import restore
from ultrabm_jax.models.task import Task


class FakeNet(nn.Module):
    """x2; reflect-pads to the grid, adds a max-pooled copy and a 3x3 mean, and divides by the image's mean."""

    scale: int = 2
    grid: int = 8

    @nn.compact
    def __call__(self, low):  # (b, h, w, 3)
        gain = self.param("gain", nn.initializers.ones, ())
        height, width = low.shape[1:3]
        x = jnp.pad(low, ((0, 0), (0, -height % self.grid), (0, -width % self.grid), (0, 0)), mode="reflect")
        pooled = nn.max_pool(x, (self.grid, self.grid), (self.grid, self.grid))
        x = 0.6 * x + 0.2 * nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)
        x = x + 0.2 * jnp.repeat(jnp.repeat(pooled, self.grid, 1), self.grid, 2)
        given = self.get_variable("statistics", "mean") if self.has_variable("statistics", "mean") else None
        mean = jnp.mean(low) if given is None else given
        if self.is_mutable_collection("statistics"):
            self.put_variable("statistics", "mean", mean)
        x = gain * x * 0.5 / (0.5 + mean)
        x = jnp.repeat(jnp.repeat(x, self.scale, 1), self.scale, 2)
        return {"restored": x[:, : self.scale * height, : self.scale * width]}


class FakeTask(Task):
    @property
    def multiple(self):
        return self.model.grid


@pytest.fixture(scope="session")
def network():
    """(task, variables); the grid of its pooling is `task.multiple`."""
    model = FakeNet()
    return FakeTask(model), model.init(jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))


@pytest.fixture
def run(network, monkeypatch, capsys):
    """`run(*arguments)`: restore.py; gives its status and what it prints."""
    monkeypatch.setattr(restore, "load", lambda args: network)
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")

    def call(*arguments):
        capsys.readouterr()
        status = cli.run(lambda: restore.main(["--workdir", "w", *map(str, arguments)]))
        return status, capsys.readouterr().err

    return call


@pytest.fixture
def no_network(monkeypatch):
    def forbidden(*arguments):
        raise AssertionError("an image was computed")

    monkeypatch.setattr("ultrabm_jax.inference.files.restore_photo", forbidden)
