"""Offsets, symmetries and zoom of patches, and photos added to pairs: on the host and in device memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from input_pipeline import open_source, train_batches
from input_pipeline.loaders.in_memory import MemoryFeed
from input_pipeline.sources.base import require_patch
from input_pipeline.sources.patches import PatchSampler
from ultrabm_jax.errors import UserError
from ultrabm_jax.training.sharding import make_mesh

MESH = ConfigDict({"data": -1, "fsdp": 1, "spatial": 1})


@pytest.fixture
def ramps(tmp_path):
    """Three pairs at scale 1, 40x56: (red, green, blue) is (row, column, image)."""
    for k in range(3):
        rows, columns = np.mgrid[:40, :56]
        image = np.stack([rows, columns, np.full_like(rows, 100 + k)], axis=-1).astype(np.uint8)
        for kind in ("low", "high"):
            (tmp_path / "ramps" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / "ramps" / kind / f"{k}.png")
    return tmp_path / "ramps"


@pytest.fixture
def photos(tmp_path):
    for k in range(4):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(np.full((30, 50 - k, 3), 200 + k, np.uint8)).save(tmp_path / "photos" / f"{k}.png")
    return tmp_path / "photos"


def host(source, steps, *, batch=4, patch=8):
    return list(train_batches(source, start_step=0, stop_step=steps, seed=0, batch_size=batch, patch_size=patch,
                              loader="threads"))  # fmt: skip


def in_memory(source, steps, *, batch=4, patch=8):
    feed = MemoryFeed(source, make_mesh(MESH), seed=0)
    sizes = {"batch_size": batch, "patch_size": patch}
    prepare = jax.jit(feed.prepare(**sizes))
    fed = feed.batches(start_step=0, stop_step=steps, **sizes)
    return [jax.tree.map(np.asarray, prepare(arrays, jnp.int32(step))) for step, arrays in enumerate(fed)]


LOADERS = pytest.mark.parametrize("batches", [host, in_memory])


def examples(batches):
    """All patches of `low`."""
    return np.concatenate([batch["low"] for batch in batches])


@LOADERS
def test_grid_patches_do_not_overlap_and_cover_the_image(data, ramps, batches):
    data.update({"root": str(ramps), "crop_offsets": "grid", "flips": "none"})
    low = examples(batches(open_source(data, scale=1), 80))
    corners = {tuple(patch[0, 0, :2].tolist()) for patch in low}
    assert corners == {(8 * i, 8 * j) for i in range(5) for j in range(7)}


@LOADERS
@pytest.mark.parametrize(("flips", "rows", "columns"), [("none", {1}, {1}), ("horizontal", {1}, {1, -1})])
def test_horizontal_flips_keep_patches_upright(data, ramps, batches, flips, rows, columns):
    data.update({"root": str(ramps), "flips": flips})
    low = examples(batches(open_source(data, scale=1), 10)).astype(int)
    assert {int(patch[1, 0, 0] - patch[0, 0, 0]) for patch in low} == rows
    assert {int(patch[0, 1, 1] - patch[0, 0, 1]) for patch in low} == columns


@LOADERS
def test_zoomed_patch_and_reference_show_the_same_window(data, ramps, batches):
    data.update({"root": str(ramps), "flips": "none", "zoom": (0.5, 1.0, 2.0)})
    made = batches(open_source(data, scale=1), 30)
    low = examples(made).astype(int)
    spans = np.sort([patch[6, 0, 0] - patch[1, 0, 0] for patch in low])  # over five of eight rows
    assert {round(span / 5 * 2) / 2 for span in spans.tolist()} == {0.5, 1.0, 2.0}
    for batch in made:
        np.testing.assert_array_equal(batch["low"], batch["reference"])
        assert batch["low"].dtype == np.uint8


@LOADERS
def test_zoomed_grids_stay_inside(data, ramps, batches):
    data.update({"root": str(ramps), "crop_offsets": "grid", "flips": "none", "zoom": (0.5,)})
    low = examples(batches(open_source(data, scale=1), 60)).astype(int)
    assert low[..., 2].min() >= 100  # blue: no padding
    # Windows of 16 from corners at multiples of 8; the last ones are moved from 32 and 48 to where 16 pixels are left.
    # A patch's middle is its window's, up to rounding.
    tops = {round(float(patch[3:5, :, 0].mean()) - 7.5) for patch in low}
    lefts = {round(float(patch[:, 3:5, 1].mean()) - 7.5) for patch in low}
    assert tops == {0, 8, 16, 24}
    assert lefts == {0, 8, 16, 24, 32, 40}


def test_device_resampling_equals_the_hosts(data, tmp_path):
    """One window, the whole image: nothing is drawn. Pillow's bicubic is Keys' a = -0.5, and so is JAX's.

    Pillow also rounds between the two axes: up to 0.5 more, times the weights' absolute sum of 1.2 at most.
    """
    rng = np.random.default_rng(0)
    smooth = np.asarray(Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((20, 20), Image.BICUBIC))
    for kind in ("low", "high"):
        (tmp_path / "one" / kind).mkdir(parents=True)
        Image.fromarray(smooth).save(tmp_path / "one" / kind / "a.png")
    data.update({"root": str(tmp_path / "one"), "flips": "none", "zoom": (0.8,)})
    source = open_source(data, scale=1)
    ours, theirs = (make(source, 1, batch=1, patch=16)[0]["low"].astype(int) for make in (in_memory, host))
    assert np.abs(ours - theirs).max() <= 2
    assert np.abs(ours - theirs).mean() < 0.5
    assert abs((ours - theirs).mean()) < 0.1


@LOADERS
def test_photos_are_added_to_pairs_and_drawn_independently(data, ramps, photos, batches):
    data.update({"root": str(ramps), "photos": str(photos)})
    made = batches(open_source(data, scale=1), 30)
    seen = np.concatenate([batch["photo"] for batch in made])
    assert seen.shape == (120, 8, 8, 3)
    assert {int(value) for value in np.unique(seen)} == {200, 201, 202, 203}
    pairs = {(int(low[0, 0, 2]), int(photo[0, 0, 0])) for low, photo in zip(examples(made), seen, strict=True)}
    assert len(pairs) == 12


def test_pairs_are_the_same_with_photos_and_without(data, ramps, photos):
    data.root = str(ramps)
    plain = open_source(data, scale=1)
    data.photos = str(photos)
    beside = open_source(data, scale=1)
    for make in (host, in_memory):
        for one, other in zip(make(plain, 3), make(beside, 3), strict=True):
            np.testing.assert_array_equal(one["low"], other["low"])
    assert (len(beside), beside.name(1), beside.size(1), beside.group(1)) == (3, "1", (40, 56), None)
    np.testing.assert_array_equal(beside.pair(2)[0], plain.pair(2)[0])


def test_evaluation_has_no_photos(data, ramps, photos):
    data.update({"root": str(ramps), "eval_root": str(ramps), "photos": str(photos)})
    assert "photo" not in open_source(data, scale=1, split="eval").arrays(0)


def test_photos_have_the_scale_of_the_references(data, pairs, photos):
    data.update({"root": str(pairs), "photos": str(photos)})
    for make in (host, in_memory):
        batch = make(open_source(data, scale=2), 1)[0]
        assert (batch["low"].shape, batch["photo"].shape) == ((4, 8, 8, 3), (4, 16, 16, 3))


@pytest.mark.parametrize(
    ("zoom", "patch", "named"),
    [((1.0,), 31, "0 is 50x30, 1 is 49x30, "), ((0.5,), 16, "0 is 50x30"), ((0.5, 1.0), 21, "0 is 56x40")],
)
def test_images_smaller_than_the_largest_window_are_named(data, ramps, photos, zoom, patch, named):
    data.update({"root": str(ramps), "photos": str(photos), "zoom": zoom})
    with pytest.raises(UserError, match=named):
        require_patch(open_source(data, scale=1), patch)


def test_synthetic_pairs_use_the_same_patches(data, photos):
    data.update({"dataset": "synthetic", "root": str(photos), "crop_offsets": "grid", "zoom": (0.5, 2.0)})
    for make in (host, in_memory):
        batch = make(open_source(data, scale=2), 2, patch=4)[1]
        assert (batch["low"].shape, batch["reference"].shape) == ((4, 4, 4, 3), (4, 8, 8, 3))
        assert batch["reference"].min() >= 200


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop_offsets": "middle"}, r"data\.crop_offsets='middle' is not known; choose one of: random, grid"),
        ({"flips": "left"}, r"data\.flips='left' is not known; choose one of: d4, horizontal, none"),
        ({"zoom": (1.0, 0.0)}, r"data\.zoom=\(1\.0, 0\.0\) must be enlargements above 0"),
        ({"photos": "/nowhere"}, r"point data\.photos at a folder of photos"),
    ],
)
def test_unknown_values_are_refused(data, ramps, fields, message):
    data.update({"root": str(ramps)} | fields)
    with pytest.raises(UserError, match=message):
        open_source(data, scale=1)


def test_window_size_is_patch_size_over_zoom():
    assert PatchSampler(zoom=(0.8, 1.0, 1.2)).window_sizes(96) == (120, 96, 80)
