"""Samples, their spread and their files, of a network whose samples are its noise, so expected values are known."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import lolisrflow_lol_x2_small
from ultrabm_jax import cli
from ultrabm_jax.commands import restore
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.candidates import candidates
from ultrabm_jax.inference.sampled_files import WHITE, check_samples
from ultrabm_jax.inference.sampling import Sampler, Spread, likelihood
from ultrabm_jax.models.lolisrflow.network import LoLiSRFlow
from ultrabm_jax.models.lolisrflow.task import LoLiSRFlowTask


class Noise(LoLiSRFlow):
    """Gray, plus a tenth of the noise; the likelihood of an image is its mean brightness above the low one."""

    def setup(self):
        pass

    def __call__(self, low, *, noise=None):
        size = (low.shape[0], self.scale * low.shape[1], self.scale * low.shape[2], 3)
        return {"restored": 0.5 + 0.1 * (jnp.zeros(size) if noise is None else noise)}

    def encode(self, y, x):
        return {"nll": jnp.mean(y - jnp.mean(x), axis=(1, 2, 3))}


def image(height, width, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


@pytest.mark.parametrize("scale", [2, 4])
def test_sample_does_not_depend_on_tiles(scale):
    low = image(90, 75)
    whole = Sampler(LoLiSRFlowTask(Noise(scale=scale)), {}, temperature=0.7, tile=0)(low, seed=3)
    tiled = Sampler(LoLiSRFlowTask(Noise(scale=scale)), {}, temperature=0.7, tile=64, overlap=16)(low, seed=3)
    assert whole.shape == (90 * scale, 75 * scale, 3)
    np.testing.assert_allclose(tiled, whole, atol=1e-6)
    assert whole.std() == pytest.approx(0.07, rel=0.05)


def test_sample_depends_only_on_seed_and_index():
    sampler = Sampler(LoLiSRFlowTask(Noise()), {}, temperature=1.0)
    first, low = sampler(image(8, 9), seed=1, index=2), image(8, 9)
    np.testing.assert_array_equal(sampler(low, seed=1, index=2), first)
    for other in ({"seed": 1}, {"seed": 2, "index": 2}, {"seed": 1, "index": 3}):
        assert np.abs(sampler(low, **other) - first).max() > 0.1
    many = sampler.many(np.stack([low, image(8, 9, seed=1)]), seed=1)
    np.testing.assert_array_equal(many[0], sampler(low, seed=1))


def test_temperature_zero_equals_the_restoration_without_noise():
    np.testing.assert_array_equal(
        Sampler(LoLiSRFlowTask(Noise()), {}, temperature=0.0)(image(3, 5)), np.full((6, 10, 3), 0.5)
    )


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf")])
def test_non_numeric_temperature_is_refused(temperature):
    with pytest.raises(UserError, match="a temperature is a number, 0 or more"):
        Sampler(LoLiSRFlowTask(Noise()), {}, temperature=temperature)


def test_deterministic_network_refuses_sampling(network):
    task, variables = network
    for call in (
        lambda: Sampler(task, variables, temperature=0.5),
        lambda: likelihood(task, variables, jnp.zeros((1, 4, 4, 3)), jnp.zeros((1, 8, 8, 3)), key=jax.random.key(0)),
    ):
        with pytest.raises(UserError, match="FakeNet is deterministic"):
            call()


def test_spread_equals_the_standard_deviation_of_its_images():
    images = np.random.default_rng(0).normal(5, [0.1, 0.2, 0.4], (6, 7, 8, 3)).astype(np.float32)
    spread = Spread()
    for one in images:
        spread.add(one)
    expected = np.sqrt(images.astype(np.float64).var(axis=0, ddof=1).mean(axis=-1))
    np.testing.assert_allclose(spread.deviation(), expected, rtol=1e-4)
    with pytest.raises(UserError, match="two samples or more, not 0"):
        Spread().deviation()


def test_likelihood_is_that_of_a_quantisation_cell():
    low, restored = np.full((2, 4, 4, 3), 0.1, np.float32), np.full((2, 32, 32, 3), 0.7, np.float32)
    found = likelihood(LoLiSRFlowTask(Noise(scale=8)), {}, low, restored, key=jax.random.key(0))
    np.testing.assert_allclose(found, 0.6 + 5, atol=2e-3)  # the noise is 1 / 32 wide, and 5 bits are one of 32 cells


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"samples": 0}, "--samples is a number of images"),
        ({"uncertainty": True}, "give --samples 2 or more"),
        ({"samples": 3, "temperature": 0.0}, "give --temperature"),
        ({"seed": -1}, "--seed is 0 or more"),
    ],
    ids=str,
)
def test_contradictory_flags_are_refused(flags, words):
    with pytest.raises(UserError, match=words):
        check_samples(**({"temperature": 0.7, "samples": 1, "uncertainty": False, "seed": 0} | flags))


@pytest.fixture
def script(tmp_path, monkeypatch):
    """`script(*flags)`: restore.py on a gray and a colour image; gives its status and its outputs."""
    monkeypatch.setattr(restore, "load", lambda args: (LoLiSRFlowTask(Noise()), {}))
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")
    Image.fromarray(np.full((9, 7, 3), (9, 20, 5), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((9, 7), 9, np.uint8)).save(tmp_path / "gray.png")
    names = [str(tmp_path / name) for name in ("a.png", "gray.png")]

    def run(*flags):
        status = cli.run(lambda: restore.main(["--workdir", "w", *names, "--output", str(tmp_path / "out"), *flags]))
        return status, {path.name: np.asarray(Image.open(path)) for path in (tmp_path / "out").glob("*.png")}

    return run


def test_samples_and_uncertainty_are_written_as_files(script):
    flags = ("--temperature", "0.7", "--samples", "3", "--uncertainty", "--seed", "5")
    status, found = script(*flags)
    assert status == 0
    names = ("sample1", "sample2", "sample3", "uncertainty")
    assert set(found) == {f"{stem}_{name}.png" for stem in ("a", "gray") for name in names}
    samples = np.stack([found[f"a_sample{i}.png"] for i in (1, 2, 3)]) / 255
    assert samples.shape == (3, 18, 14, 3)
    expected = np.sqrt(samples.var(axis=0, ddof=1).mean(axis=-1)) / WHITE
    np.testing.assert_allclose(found["a_uncertainty.png"][..., 0] / 255, expected, atol=0.02)
    gray = found["gray_sample1.png"]
    assert (gray == gray[..., :1]).all()
    _, again = script(*flags, "--overwrite")
    assert all((again[name] == found[name]).all() for name in found)


def test_one_sample_has_the_plain_name(script):
    _, cold = script("--temperature", "0")
    _, warm = script("--temperature", "1", "--overwrite")
    assert set(cold) == set(warm) == {"a.png", "gray.png"}
    assert (cold["a.png"] == 128).all()
    assert warm["a.png"].std() > 10


@pytest.mark.parametrize("flag", [("--temperature", "0.5"), ("--samples", "2"), ("--uncertainty",), ("--seed", "0")])
def test_sampling_flags_are_refused_for_deterministic_models(script, flag, network, monkeypatch, capsys):
    monkeypatch.setattr(restore, "load", lambda args: network)
    status, found = script(*flag)
    assert (status, found) == (1, {})
    assert "error: FakeNet is deterministic" in capsys.readouterr().err


def test_an_evaluation_measures_each_temperature():
    config = lolisrflow_lol_x2_small.get_config()
    config.eval.update({"baselines": (), "ensemble": True})
    ways = candidates(
        config,
        SimpleNamespace(task=LoLiSRFlowTask(Noise(), name="lolisrflow"), variables={}, config=config),
        SimpleNamespace(input_kind="rgb"),
    )
    low = np.zeros((1, 20, 20, 3), np.float32)
    spreads = {name: way({"low": low}).std() for name, way in ways.items()}
    assert list(spreads) == ["lolisrflow", "lolisrflow_t0.3", "lolisrflow_t0.7", "lolisrflow+"]
    assert list(spreads.values()) == pytest.approx([0, 0.03, 0.07, 0], rel=0.1)
