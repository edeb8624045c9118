from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from input_pipeline import PairSource, open_source, train_batches
from ultrabm_jax.errors import UserError
from ultrabm_jax.extras import install
from ultrabm_jax.image import BadImage

OPTIONS = {"seed": 3, "start_step": 0, "stop_step": 5, "batch_size": 4, "patch_size": 6, "workers": 3}


@pytest.fixture
def source(data, pairs) -> PairSource:
    data.root = str(pairs)
    return open_source(data, scale=2)


@pytest.fixture(params=["threads", "tfdata"])
def loader(request) -> str:
    if request.param == "tfdata":
        pytest.importorskip("tensorflow")
    return request.param


def batches(source, **changed):
    return list(train_batches(source, **(OPTIONS | changed)))


def assert_equal(some, others):
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert one.keys() == other.keys() == {"low", "reference"}
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_shapes_types_and_range(source, loader):
    made = batches(source, loader=loader)
    assert len(made) == 5
    for batch in made:
        assert (batch["low"].shape, batch["reference"].shape) == ((4, 6, 6, 3), (4, 12, 12, 3))
        assert batch["low"].dtype == batch["reference"].dtype == np.uint8
    assert max(batch["low"].max() for batch in made) > 230
    assert not np.array_equal(made[0]["low"], made[1]["low"])


def test_both_loaders_give_the_same_bits(source):
    pytest.importorskip("tensorflow")
    assert_equal(batches(source, loader="tfdata"), batches(source, loader="threads", workers=1))


def test_resume_gives_the_same_bits(source, loader):
    whole = batches(source, loader=loader)
    assert_equal(whole[2:], batches(source, loader=loader, start_step=2))
    assert batches(source, loader=loader, start_step=5) == []


def test_processes_share_one_batch(source, loader):
    whole = batches(source, loader=loader)
    halves = [batches(source, loader=loader, process_index=p, process_count=2) for p in (0, 1)]
    joined = [
        {name: np.concatenate([first[name], second[name]]) for name in first}
        for first, second in zip(*halves, strict=True)
    ]
    assert_equal(whole, joined)


def test_synthetic_source_is_deterministic(data, pairs, loader):
    data.update(dataset="synthetic", root=str(pairs / "high"))
    photos = open_source(data, scale=2)
    assert_equal(batches(photos, loader=loader)[3:], batches(photos, loader="threads", start_step=3, workers=1))


def test_seed_changes_every_batch(source):
    one, other = (batches(source, loader="threads", seed=seed)[0] for seed in (0, 1))
    assert not np.array_equal(one["low"], other["low"])


def test_each_image_is_used_once_per_epoch(source):
    class Recorder(PairSource):
        scale = 2
        seen: list[int] = []  # noqa: RUF012

        def __len__(self):
            return len(source)

        def name(self, i):
            return source.name(i)

        def pair(self, i):
            return source.pair(i)

        def size(self, i):
            return source.size(i)

        def arrays(self, i):
            return source.arrays(i)

        def crop(self, i, *, patch, rng):
            self.seen.append(i)
            return source.crop(i, patch=patch, rng=rng)

    recorder = Recorder()
    batches(recorder, loader="threads", workers=1)  # 20 examples of 5 images
    epochs = [recorder.seen[k : k + 5] for k in range(0, 20, 5)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)


def test_bad_image_raises_a_one_line_error(data, pairs, loader, capfd):
    data.root = str(pairs)
    source = open_source(data, scale=2)
    path = pairs / "high" / "3.png"
    path.write_bytes(path.read_bytes()[:200])
    capfd.readouterr()
    with pytest.raises(BadImage, match=r"high/3\.png: cannot be decoded") as caught:
        batches(source, loader=loader)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err


def test_leaving_early_stops_the_workers(source, loader):
    before = {thread.ident for thread in threading.enumerate()}
    made = train_batches(source, **(OPTIONS | {"stop_step": 10**9, "loader": loader}))
    next(made)
    made.close()
    left = [t.name for t in threading.enumerate() if t.ident not in before and t.name.startswith("input")]
    assert left == []


def test_options_are_refused_by_the_call_itself(source):
    for changed, message in (
        ({"loader": "grain"}, "choose one of: tfdata, threads, in_memory"),
        ({"batch_size": 3, "process_count": 2}, "multiple of the 2 processes"),
        ({"batch_size": 0}, "positive"),
        ({"patch_size": 13}, "smaller than the 13x13 patch"),
    ):
        with pytest.raises(UserError, match=message):
            train_batches(source, **(OPTIONS | changed))


def test_threads_need_no_tensorflow(pairs):
    program = f"""
import sys
sys.modules["tensorflow"] = None
from ultrabm_jax.config import default_config
from input_pipeline import open_source, train_batches
data = default_config().data
data.root = {str(pairs)!r}
source = open_source(data, scale=2)
options = dict(seed=0, start_step=0, stop_step=1, batch_size=2, patch_size=4)
print(len(list(train_batches(source, loader="threads", **options))))
try:
    list(train_batches(source, loader="tfdata", **options))
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    line = f"data.loader=tfdata needs tensorflow: {install('tensorflow')}, or use data.loader=threads"
    assert done.stdout.splitlines() == ["1", line]
