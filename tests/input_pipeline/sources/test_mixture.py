"""data.mixture: several data sets in one run."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from input_pipeline import eval_batches, open_source, train_batches
from input_pipeline.check import check
from input_pipeline.loaders.in_memory import MemoryFeed
from input_pipeline.sampling import member_index
from input_pipeline.sources.base import require_patch
from input_pipeline.sources.members import evaluated_name, read_members, trained_name
from input_pipeline.sources.splits import training_evaluation
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.training.sharding import make_mesh

OPTIONS = {"seed": 3, "start_step": 0, "stop_step": 6, "batch_size": 4, "patch_size": 6, "workers": 2}
SHARES = (0.5, 0.3, 0.2)


@pytest.fixture
def folders(tmp_path, pairs, image):
    """Five pairs for scale 2, three others, and four photos."""
    for k in range(3):
        image(tmp_path / "own" / "low" / f"{k}.png", 10, 14, seed=50 + k)
        image(tmp_path / "own" / "high" / f"{k}.png", 20, 28, seed=60 + k)
    for k in range(4):
        image(tmp_path / "photos" / f"{k}.png", 30, 26, seed=70 + k)
    return {
        "pairs": f"paired:{pairs}",
        "own": f"paired:{tmp_path / 'own'}",
        "photos": f"synthetic:{tmp_path / 'photos'}",
    }


@pytest.fixture
def mixed(data, folders):
    data.mixture = tuple(zip(folders.values(), SHARES, strict=True))
    return data


def alone(data, member):
    dataset, root = member.split(":")
    own = data.copy_and_resolve_references()
    own.update(mixture=(), dataset=dataset, root=root)
    return open_source(own, scale=2)


def batches(source, **changed):
    return list(train_batches(source, **({"loader": "threads"} | OPTIONS | changed)))


def assert_equal(some, others):
    assert len(some) == len(others) > 0
    for one, other in zip(some, others, strict=True):
        assert one.keys() == other.keys() == {"low", "reference"}
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_each_example_is_what_its_member_alone_shows_at_this_step_and_slot(mixed, folders):
    source = open_source(mixed, scale=2)
    members = [alone(mixed, member) for member in folders.values()]
    together, separate = batches(source, stop_step=20), [batches(member, stop_step=20) for member in members]
    chosen = {(step, slot): member_index(3, step, slot, (0.5, 0.8)) for step in range(20) for slot in range(4)}
    assert set(chosen.values()) == {0, 1, 2}
    for (step, slot), k in chosen.items():
        for name in ("low", "reference"):
            np.testing.assert_array_equal(together[step][name][slot], separate[k][step][name][slot])


def test_members_occur_by_weight_and_all_of_their_images_are_used(mixed):
    source = open_source(mixed, scale=2)
    draws = [source.draw(seed=0, step=step, slot=slot, batch_size=4) for step in range(2500) for slot in range(4)]
    names = [source.member(i) for i in draws]
    shares = [names.count(name) / len(names) for name in ("pairs", "own", "photos")]
    assert shares == pytest.approx(SHARES, abs=0.02)  # four standard deviations
    counts = np.bincount(draws, minlength=len(source))
    expected = np.array([shares[("pairs", "own", "photos").index(source.member(i))] for i in range(len(source))])
    sizes = {"pairs": 5, "own": 3, "photos": 4}
    each = 10_000 * expected / [sizes[source.member(i)] for i in range(len(source))]
    np.testing.assert_allclose(counts, each, rtol=0.15)


@pytest.mark.parametrize("loader", ["threads", "tfdata"])
def test_resume_processes_and_loaders_give_the_same_bits(mixed, loader):
    if loader == "tfdata":
        pytest.importorskip("tensorflow")
    source = open_source(mixed, scale=2)
    whole = batches(source, workers=1)
    assert_equal(whole, batches(source, loader=loader))
    assert_equal(whole[4:], batches(open_source(mixed, scale=2), loader=loader, start_step=4))
    halves = [batches(source, loader=loader, process_index=p, process_count=2) for p in (0, 1)]
    joined = [{name: np.concatenate([a[name], b[name]]) for name in a} for a, b in zip(*halves, strict=True)]
    assert_equal(whole, joined)


def test_the_seed_changes_which_member_is_drawn():
    draws = [[member_index(seed, step, 0, (0.5,)) for step in range(64)] for seed in (0, 1)]
    assert draws[0] != draws[1]


def in_memory(source, steps, *, start=0, place="auto"):
    feed = MemoryFeed(source, make_mesh(ConfigDict({"data": -1, "fsdp": 1, "spatial": 1})), seed=3, place=place)
    sizes = {"batch_size": 4, "patch_size": 6}
    prepare = jax.jit(feed.prepare(**sizes))
    fed = feed.batches(start_step=start, stop_step=start + steps, **sizes)
    return feed, [jax.tree.map(np.asarray, prepare(arrays, jnp.int32(start + k))) for k, arrays in enumerate(fed)]


def test_the_in_memory_loader_selects_among_the_batches_of_the_members(mixed, folders):
    feed, together = in_memory(open_source(mixed, scale=2), 20)
    assert "pairs: 5 decoded images" in feed.note
    assert "photos: 4 decoded images" in feed.note
    separate = [in_memory(alone(mixed, member), 20)[1] for member in folders.values()]
    found = []
    for step in range(20):
        for slot in range(4):
            same = [
                all(np.array_equal(together[step][name][slot], part[step][name][slot]) for name in ("low", "reference"))
                for part in separate
            ]
            assert sum(same) == 1
            found.append(same.index(True))
    assert {found.count(k) / 80 > share / 2 for k, share in enumerate(SHARES)} == {True}
    assert_equal(together[12:], in_memory(open_source(mixed, scale=2), 8, start=12)[1])


def test_unpaired_photos_are_shared_by_all_members(mixed, folders, tmp_path):
    plain = batches(open_source(mixed, scale=2))
    mixed.photos = str(tmp_path / "photos")
    source = open_source(mixed, scale=2)
    made = batches(source)
    assert made[0]["photo"].shape == (4, 12, 12, 3)
    assert_equal(plain, [{name: batch[name] for name in ("low", "reference")} for batch in made])
    batch = in_memory(source, 1)[1][0]
    assert {name: value.shape for name, value in batch.items()} == {
        "low": (4, 6, 6, 3), "reference": (4, 12, 12, 3), "photo": (4, 12, 12, 3)
    }  # fmt: skip


def test_members_have_their_own_options_and_share_the_others(data, folders, tmp_path):
    data.cache_gib = 3.0
    data.holdout = (0.2, 0.2)
    data.mixture = (
        (folders["pairs"], 2),
        (folders["photos"], 1, {"darkness.ev": (-1.0, -1.0), "name": "dim", "zoom": [0.5], "holdout": (0.0, 0.0)}),
        (f"lol/v1_scenes:{tmp_path / 'records'}", 1),
    )
    first, second, third = read_members(data)
    assert [(m.name, m.share) for m in (first, second, third)] == [
        ("pairs", 0.5),
        ("dim", 0.25),
        ("lol/v1_scenes", 0.25),
    ]
    assert (second.data.darkness.ev, second.data.zoom) == ((-1.0, -1.0), (0.5,))
    assert (first.data.darkness.ev, first.data.zoom) == (data.darkness.ev, (1.0,))
    assert first.data.cache_gib == 1.0
    assert [tuple(m.data.holdout) for m in (first, second, third)] == [(0.2, 0.2), (0.0, 0.0), (0.2, 0.0)]
    assert (third.data.records, third.data.root) == (str(tmp_path / "records"), "")
    data.mixture = data.mixture[:2]
    open_source(data, scale=2)
    assert data.darkness.ev == (-5.0, -2.5)


def test_a_mixture_read_from_config_json_is_the_same(mixed):
    mixed.mixture = (*mixed.mixture[:2], (mixed.mixture[2][0], 0.2, {"darkness.ev": (-4.0, -2.0), "name": "p"}))
    mixed.eval_members = ("p",)
    saved = ConfigDict(json.loads(ConfigDict({"data": mixed}).to_json_best_effort())).data
    assert [(m.name, m.share) for m in read_members(saved)] == [(m.name, m.share) for m in read_members(mixed)]
    assert_equal(batches(open_source(mixed, scale=2)), batches(open_source(saved, scale=2)))


def test_evaluation_uses_all_members_or_the_named_ones(mixed, folders, tmp_path):
    mixed.mixture = (
        (folders["pairs"], 0.5, {"holdout": (0.4, 0.2)}),
        (folders["own"], 0.3, {"eval_root": str(tmp_path / "own")}),
        (folders["photos"], 0.2, {"holdout": (0.25, 0.25)}),
    )
    mixed.eval_split = "val"
    source = open_source(mixed, scale=2, split="eval")
    members = [source.member(i) for i in range(len(source))]
    assert members == ["pairs", "own", "photos", "pairs", "own", "own"]  # the first images hold some of each member
    assert source.name(1) == "own/0"
    assert evaluated_name(mixed) == "mixture of pairs + own + photos"
    assert trained_name(mixed) == "mixture of pairs + own + photos"
    masks = [batch["mask"].sum() for batch in eval_batches(source, batch_size=2)]
    assert sum(masks) == 6
    mixed.eval_members = ("own",)
    source = open_source(mixed, scale=2, split="eval")
    assert [source.name(i) for i in range(len(source))] == ["0", "1", "2"]
    mixed.eval_root = str(tmp_path / "pairs")
    assert len(open_source(mixed, scale=2, split="eval")) == 5
    assert evaluated_name(mixed) == "paired"


def test_the_log_states_the_images_and_the_weight_of_each_member(mixed, tmp_path, logged):
    open_source(mixed, scale=2)
    assert logged == ["training images: pairs 5 (weight 0.5), own 3 (weight 0.3), photos 4 (weight 0.2)"]
    mixed.eval_root = str(tmp_path / "pairs")
    open_source(mixed, scale=2, split="eval")
    assert logged[1:] == [f"evaluation images: {tmp_path / 'pairs'} 5"]


def test_a_member_without_evaluation_images_is_an_error_that_names_it(mixed):
    with pytest.raises(UserError, match=r"data\.mixture: pairs: .* no 'test' split .*; data\.eval_members names"):
        open_source(mixed, scale=2, split="eval")


def test_an_image_below_the_patch_is_named_with_its_member_data(mixed):
    with pytest.raises(UserError, match="of 12 low-resolution images are smaller than the 11x11 patch: 0 is 14x10"):
        require_patch(open_source(mixed, scale=2), 11)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            (("nolol:/x", 1),),
            "unknown data set 'nolol'; choose one of: paired, lol, rellisur, .*synthetic, folder, sid, ",
        ),
        ((("lol/v1_scenes", 1),), "'lol/v1_scenes' is read from records: write lol/v1_scenes:RECORDS"),
        ((("lol/v1_scenes:/nowhere", 1),), "lol/v1_scenes: .*holds no prepared data set"),
        ((("paired:/nowhere", 1),), "data.mixture: nowhere: /nowhere is not a folder"),
        ((("OWN", 1), ("PHOTOS", 0)), "weight of 'PHOTOS' is 0; it must be a number above 0"),
        ((("OWN", -0.5),), "weight of 'OWN' is -0.5"),
        ((("OWN", float("nan")),), "weight of 'OWN' is nan"),
        ((("OWN", "much"),), "weight of 'OWN' is 'much'"),
        (("OWN",), "is not of the form"),
        ((("OWN", 1, "darker"),), "is not of the form"),
        ((("OWN", 1), ("OWN", 1)), "two members are called 'own'; rename one"),
        ((("OWN", 1, {"patch_size": 9}),), "'OWN' has an unknown option 'patch_size'; known: name, root"),
        ((("OWN", 1, {"darkness.evs": 9}),), "unknown option 'darkness.evs'; known: .*darkness.ev,"),
        ((("PHOTOS", 1, {"darkness.ev": -3}),), "option 'darkness.ev' takes a value of type tuple; got -3"),
        ((("PHOTOS", 1, {"darkness.ev": (-3,)}),), r"'PHOTOS': config.data.darkness.ev takes 2 numbers"),
        ((("OWN", 1), ("X1", 1, {"downscale": "never"})), "x1/low/0.png and .*scale 2 needs reference = 2 x low"),
    ],
)
def test_errors_are_one_line(data, folders, tmp_path, image, entries, message):
    for folder in ("low", "high"):
        image(tmp_path / "x1" / folder / "0.png", 12, 12)
    names = {"OWN": folders["own"], "PHOTOS": folders["photos"], "X1": f"paired:{tmp_path / 'x1'}"}
    data.mixture = tuple(
        entry if isinstance(entry, str) else (names.get(entry[0], entry[0]), *entry[1:]) for entry in entries
    )
    for name, path in names.items():
        message = message.replace(f"'{name}'", f"'{path}'")
    with pytest.raises(UserError, match=message) as caught:
        open_source(data, scale=2)
    assert "\n" not in str(caught.value)


def test_examples_that_do_not_fit_in_one_batch_are_an_error(mixed):
    mixed.extra_inputs = ("equalised",)
    with pytest.raises(UserError, match=r"own has RGB images x2 with equalised, photos has RGB images x2$"):
        open_source(mixed, scale=2)


def test_an_unknown_evaluation_member_is_an_error(mixed):
    mixed.eval_members = ("lol",)
    with pytest.raises(UserError, match=r"'lol' is no member of data\.mixture; its members: pairs, own, photos"):
        open_source(mixed, scale=2)


def test_check_reads_all_members(folders, tmp_path):
    config = default_config()
    config.data.mixture = ((folders["pairs"], 1, {"holdout": (0.2, 0.2)}), (folders["photos"], 1))
    config.data.eval_members = ("pairs",)
    config.data.photos = str(tmp_path / "own" / "high")
    assert check(config, patch=4) == ({"pairs train": 3, "pairs val": 1, "pairs eval": 1, "photos train": 4}, [])
    (tmp_path / "photos" / "2.png").write_bytes(b"no image")
    (tmp_path / "own" / "high" / "1.png").write_bytes(b"no image")
    assert [defect.kind for defect in check(config, patch=4)[1]] == ["unreadable"] * 2


def test_training_evaluates_the_validation_images_of_the_members(data, folders, tmp_path):
    data.mixture = ((folders["pairs"], 1), (folders["photos"], 1))
    assert training_evaluation(data, scale=2) is None
    data.mixture = ((folders["pairs"], 1, {"holdout": (0.2, 0.2)}), (folders["photos"], 1))
    assert training_evaluation(data, scale=2) == "val"
    with pytest.raises(UserError, match=r"data\.mixture: photos: .*data\.eval_members names the members to evaluate"):
        open_source(data, scale=2, split="val")
    data.eval_members = ("pairs",)
    assert len(open_source(data, scale=2, split="val")) == 1
    data.eval_split = "test"
    assert training_evaluation(data, scale=2) == "test"
    data.update(eval_split="auto", eval_members=(), eval_root=str(tmp_path / "own"))
    assert training_evaluation(data, scale=2) == "val"
    assert len(open_source(data, scale=2, split="val")) == 3
