"""The in-memory loader against the host loaders: same images, same crops, same statistics."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from input_pipeline import open_source, train_batches
from input_pipeline.loaders.in_memory import MemoryFeed, draw
from input_pipeline.raw_pairs.source import RawPair, RawPairs
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.darkness import Darkness, darken, darken_on_device, draw_darkness_on_device, quantise
from ultrabm_jax.image.symmetry import flip_rotate
from ultrabm_jax.raw.cfa import CANONICAL
from ultrabm_jax.training.sharding import make_mesh


class Whole:
    """An image that is already decoded."""

    def __init__(self, image):
        self.image, self.size = image, image.shape[:2]

    def whole(self):
        return self.image

    def crop(self, top, left, height, width):
        return self.image[top : top + height, left : left + width]


MESH = ConfigDict({"data": -1, "fsdp": 1, "spatial": 1})


@pytest.fixture
def source(data, pairs):
    data.root = str(pairs)
    return open_source(data, scale=2)


def made(source, steps, *, batch=4, patch=6, start=0, seed=3, place="auto"):
    feed = MemoryFeed(source, make_mesh(MESH), seed=seed, place=place)
    sizes = {"batch_size": batch, "patch_size": patch}
    prepare = jax.jit(feed.prepare(**sizes))
    fed = feed.batches(start_step=start, stop_step=start + steps, **sizes)
    return [jax.tree.map(np.asarray, prepare(arrays, jnp.int32(start + k))) for k, arrays in enumerate(fed)]


@pytest.mark.parametrize("batch", [1, 3, 4, 7, 12])
def test_each_image_is_used_once_per_epoch(batch):
    count = 5
    shown = [
        draw.image_indices(jax.random.key(0), jnp.int32(step), batch_size=batch, count=count)
        for step in range(10 * count)
    ]
    order = np.concatenate(shown)
    epochs = order[: len(order) // count * count].reshape(-1, count)
    assert (np.sort(epochs, axis=1) == np.arange(count)).all()
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_examples_are_aligned_crops_of_the_images(source):
    images = [source.pair(i) for i in range(5)]
    seen = set()
    for batch in made(source, 12):
        assert {name: value.dtype for name, value in batch.items()} == {"low": np.uint8, "reference": np.uint8}
        for low, reference in zip(batch["low"], batch["reference"], strict=True):
            found = [
                (i, symmetry)
                for i, (whole, large) in enumerate(images)
                for top in range(whole.shape[0] - 5)
                for left in range(whole.shape[1] - 5)
                for symmetry in range(8)
                if np.array_equal(flip_rotate(whole[top : top + 6, left : left + 6], symmetry), low)
                and np.array_equal(
                    flip_rotate(large[2 * top : 2 * top + 12, 2 * left : 2 * left + 12], symmetry), reference
                )
            ]
            assert len(found) == 1
            seen.add(found[0])
    assert {i for i, _ in seen} == set(range(5))
    assert {symmetry for _, symmetry in seen} == set(range(8))


def test_a_step_is_a_function_of_its_number(source):
    whole = made(source, 5)
    for batch, again in zip(whole[2:], made(source, 3, start=2), strict=True):
        np.testing.assert_array_equal(batch["low"], again["low"])
    assert not np.array_equal(whole[0]["low"], made(source, 1, seed=4)[0]["low"])


def test_padding_of_smaller_images_is_never_cropped(data, tmp_path, image):
    for k, (height, width) in enumerate([(9, 30), (30, 9), (16, 16)]):
        for folder, factor in (("low", 1), ("high", 2)):
            path = image(tmp_path / "sizes" / folder / f"{k}.png", height * factor, width * factor)
            from PIL import Image

            pixels = np.maximum(np.asarray(Image.open(path)), 1)
            Image.fromarray(pixels).save(path)
    data.root = str(tmp_path / "sizes")
    for batch in made(open_source(data, scale=2), 20, patch=8):
        assert batch["low"].min() > 0
        assert batch["reference"].min() > 0


def corners(batches, source):
    """(top, left) of crops that were not turned, found by looking."""
    whole = [source.pair(i)[0] for i in range(len(source))]
    size = batches[0]["low"].shape[1]
    places = []
    for batch in batches:
        for low in batch["low"]:
            for image in whole:
                window = np.lib.stride_tricks.sliding_window_view(image[..., 0], (size, size))
                places += [tuple(at) for at in np.argwhere((window == low[..., 0]).all(axis=(2, 3)))]
    return np.array(places)


def test_statistics_equal_those_of_the_host_loaders(source):
    """Values, and places of the crops, of 480 examples each: means within 4 standard errors."""
    device = made(source, 40, batch=12)
    options = {"seed": 8, "start_step": 0, "stop_step": 40, "batch_size": 12, "patch_size": 6, "loader": "threads"}
    host = list(train_batches(source, **options))
    for name in ("low", "reference"):
        means = [np.array([example.mean() for b in side for example in b[name]]) for side in (device, host)]
        error = np.hypot(*(m.std() / np.sqrt(len(m)) for m in means))
        assert abs(means[0].mean() - means[1].mean()) < 4 * error
    places = [corners(side, source) for side in (device, host)]
    for found in places:
        assert 20 < len(found) < 120  # an eighth of 480 is 60
        assert found.min(axis=0).tolist() == [0, 0]
        assert found.max(axis=0).tolist() == [6, 10]
    error = np.hypot(*(p.std(axis=0) / np.sqrt(len(p)) for p in places))
    assert (np.abs(places[0].mean(axis=0) - places[1].mean(axis=0)) < 4 * error).all()


def test_noiseless_darkness_equals_that_of_the_host(data):
    data.darkness.update(ev=(-3.0, -3.0), shot_noise=(1e-12, 1e-12))
    reference = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    made_here = np.asarray(darken_on_device(jax.random.key(0), jnp.asarray(reference), data.darkness, scale=2))
    there = darken(reference, Darkness(-3.0, 0.0, 0.0), scale=2, bits=8, rng=np.random.default_rng(0))
    assert made_here.shape == there.shape == (16, 24, 3)
    assert np.abs(made_here.astype(int) - there).max() <= 1  # float32 on both sides, at the edge of a level
    assert (made_here != there).mean() < 0.01
    assert quantise(np.array([0.5]), 8)[0] == 128


def test_darkness_is_drawn_from_the_ranges_of_the_config(data):
    keys = jax.random.split(jax.random.key(1), 4000)
    ev, shot, read = jax.vmap(lambda key: jnp.stack(draw_darkness_on_device(key, data.darkness)))(keys).T
    assert -5 <= ev.min() < -4.9 < -2.6 < ev.max() <= -2.5
    assert 1e-4 * 0.999 <= shot.min() < shot.max() <= 1e-3 * 1.001
    rest = np.log(read) - (2.18 * np.log(shot) + 1.20)
    assert abs(rest.mean()) < 4 * 0.26 / 4000**0.5
    assert abs(rest.std() - 0.26) < 0.02


def test_synthetic_photos_are_darkened_on_the_device(data, pairs):
    data.update(dataset="synthetic", root=str(pairs / "high"))
    source = open_source(data, scale=2)
    batches = made(source, 10)
    assert batches[0]["low"].shape == (4, 6, 6, 3)
    host = list(
        train_batches(source, seed=1, start_step=0, stop_step=100, batch_size=4, patch_size=6, loader="threads")
    )
    device = made(source, 100)
    for name, tolerance in (("low", 1.5), ("reference", 4.0)):
        means = [np.mean([batch[name].mean() for batch in side]) for side in (device, host)]
        assert abs(means[0] - means[1]) < tolerance


def test_unknown_placement_is_refused(source):
    with pytest.raises(UserError, match="choose auto, replicated or sharded"):
        made(source, 1, place="everywhere")


PROGRAM = """
import json, re, sys
import jax, jax.numpy as jnp, numpy as np
from ml_collections import ConfigDict
from ultrabm_jax.config import default_config
from input_pipeline import open_source
from input_pipeline.loaders.in_memory import MemoryFeed
from ultrabm_jax.training.sharding import make_mesh
data = default_config().data
data.root = sys.argv[1]
source = open_source(data, scale=2)
mesh = make_mesh(ConfigDict({"data": 2, "fsdp": 2, "spatial": 1}))
out = {}
for place in ("replicated", "sharded"):
    feed = MemoryFeed(source, mesh, seed=3, place=place)
    prepare = jax.jit(feed.prepare(batch_size=4, patch_size=6))
    (arrays,) = feed.batches(start_step=0, stop_step=1, batch_size=4, patch_size=6)
    text = prepare.lower(arrays, jnp.int32(0)).compile().as_text()
    sums = [int(np.asarray(prepare(arrays, jnp.int32(k))["low"]).astype(np.int64).ravel() @ np.arange(4 * 6 * 6 * 3))
            for k in range(3)]
    moved = re.findall(r"= (\\S+) (?:all-gather|all-reduce|all-to-all|collective-permute)\\(", text)
    out[place] = {"sums": sums, "images_moved": sum(kind.startswith("u8[") for kind in moved),
                  "reduce": "u8" in "".join(re.findall(r"= (.*) reduce-scatter\\(", text)),
                  "held": [s.data.shape[0] for s in arrays[0].images["low"].addressable_shards]}
print(json.dumps(out))
"""


def test_sharded_images_give_the_same_batches_and_move_only_crops(source, pairs):
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": str(Path(__file__).resolve().parents[4]),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(pairs)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    out = json.loads(done.stdout)
    low = [batch["low"].astype(np.int64).ravel() @ np.arange(4 * 6 * 6 * 3) for batch in made(source, 3)]
    assert out["replicated"]["sums"] == out["sharded"]["sums"] == low
    assert out["replicated"]["held"] == [5] * 4
    assert out["sharded"]["held"] == [2] * 4
    assert out["sharded"]["reduce"]
    assert out["replicated"]["images_moved"] == out["sharded"]["images_moved"] == 0


@pytest.mark.parametrize("cfa", ["bayer", "xtrans"])
@pytest.mark.parametrize("aug", ["preserve", "raw"])
def test_mosaics_keep_the_phase_of_their_colours(cfa, aug):
    """Each sample holds its colour and its black level's number, so a patch tells where it may have come from."""
    pattern = CANONICAL[cfa].astype(int)
    k = len(pattern)
    rng = np.random.default_rng(0)
    levels = np.arange(k * k, dtype=np.float32).reshape(k, k)
    pairs = []
    for i in range(3):
        mosaic = np.tile(pattern * 1000 + levels.astype(int), (6, 7)).astype(np.uint16)
        reference = rng.integers(0, 65536, (*mosaic.shape, 3)).astype(np.uint16)
        reference[..., 0] = mosaic
        low, after = Whole(mosaic), Whole(reference)
        pairs.append(RawPair(f"{i}", low, after, lambda: (levels, 9999.0), 100.0 * (i + 1), cfa))
    source = RawPairs(pairs, bayer_aug=aug)
    patch = 2 * k
    shown = set()
    for batch in made(source, 30, patch=patch):
        np.testing.assert_array_equal(batch["low"][..., 0], batch["reference"][..., 0])
        for low, black, ratio in zip(batch["low"][..., 0], batch["black"], batch["ratio"], strict=True):
            wide = np.tile(black, (3, 3))[:patch, :patch]
            np.testing.assert_array_equal(low % 1000, wide)
            if aug == "preserve":
                np.testing.assert_array_equal(low // 1000, np.tile(pattern, (2, 2)))
            shown.add((float(ratio), black.tobytes()))
    assert {ratio for ratio, _ in shown} == {100.0, 200.0, 300.0}
    assert len({black for _, black in shown}) > 1
