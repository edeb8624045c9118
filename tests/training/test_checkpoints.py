import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.checkpoint_reader import CheckpointReader, Damaged
from ultrabm_jax.training.checkpoints import Checkpoints


def state(step, *, size=4, names=("a", "b")):
    def params(offset):
        return {name: jnp.full((size, 3), step + offset, jnp.float32) for name in names}

    return TrainState(jnp.int32(step), params(0.0), (params(0.25),), params(0.5), frozen={"model": jnp.ones(2)})


def saved(workdir, scores, *, keep=2, higher_is_better=True):
    """Saves steps 1, 2, ... with these scores (None: not evaluated); a reader of them."""
    options = {"metric": "psnr_rgb", "higher_is_better": higher_is_better}
    checkpoints = Checkpoints(workdir, keep=keep, **options)
    for step, score in enumerate(scores, start=1):
        checkpoints.save(state(step), metrics=None if score is None else {"psnr_rgb": score})
    checkpoints.close()
    return CheckpointReader(workdir, **options)


def steps(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdecimal())


def test_restored_state_is_bitwise_equal(tmp_path):
    checkpoints = saved(tmp_path, [None])
    back = checkpoints.restore(1, state(0))
    jax.tree.map(np.testing.assert_array_equal, back, state(1))
    assert jax.tree.structure(back) == jax.tree.structure(state(1))


@pytest.mark.parametrize(
    ("scores", "higher", "kept", "best"),
    [
        ([9.0, 5.0, 6.0, 7.0], True, [1, 3, 4], 1),
        ([9.0, 5.0, 6.0, 7.0], False, [2, 3, 4], 2),
        ([1.0, 9.0, None, None, None], True, [2, 4, 5], 2),
        ([3.0, 3.0, 1.0, 1.0], True, [2, 3, 4], 2),
        ([float("nan"), 2.0, 1.0, 1.0], True, [2, 3, 4], 2),
        ([None, None, None], True, [2, 3], None),
    ],
)
def test_newest_and_best_checkpoints_are_kept_and_found(tmp_path, scores, higher, kept, best):
    checkpoints = saved(tmp_path, scores, higher_is_better=higher)
    assert steps(tmp_path) == kept
    assert checkpoints.latest_step() == kept[-1]
    assert checkpoints.best_step() == best


@pytest.mark.parametrize(
    ("scores", "kept", "best"),
    [([9.0, 5.0, 6.0, 7.0], [1, 3, 4], 1), ([3.0, 5.0, 6.0, 7.0], [3, 4], 4), ([3.0, 5.0, None, 5.0], [3, 4], 4)],
)
def test_scores_added_after_a_save_equal_scores_given_with_it(tmp_path, scores, kept, best):
    saved(tmp_path / "with", scores)
    checkpoints = Checkpoints(tmp_path / "after", metric="psnr_rgb", keep=2)
    for step, score in enumerate(scores, start=1):
        checkpoints.save(state(step))
        if score is not None:
            checkpoints.add_scores(step, {"psnr_rgb": score})
            assert checkpoints.scores(step) == {"psnr_rgb": score}
    checkpoints.close()
    assert steps(tmp_path / "after") == steps(tmp_path / "with") == kept
    reading = CheckpointReader(tmp_path / "after", metric="psnr_rgb")
    assert (reading.latest_step(), reading.best_step()) == (4, best)
    jax.tree.map(np.testing.assert_array_equal, reading.restore(4, state(0)), state(4))
    for step in kept:  # the same file, byte for byte
        files = [tmp_path / name / "checkpoints" / str(step) / "metrics" / "metrics" for name in ("with", "after")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_best_checkpoint_of_an_earlier_process_is_kept(tmp_path):
    saved(tmp_path, [9.0, 1.0])
    later = Checkpoints(tmp_path, metric="psnr_rgb", keep=1)
    for step in (3, 4):
        later.save(state(step), metrics={"psnr_rgb": 2.0})
    later.close()
    assert steps(tmp_path) == [1, 4]


def test_changing_the_metric_does_not_stop_a_run(tmp_path):
    saved(tmp_path, [9.0, 8.0])
    later = Checkpoints(tmp_path, metric="ssim_rgb", keep=1)
    assert later.best_step() is None
    later.save(state(3), metrics={"ssim_rgb": 0.5})
    later.close()
    assert CheckpointReader(tmp_path, metric="ssim_rgb").best_step() == 3


def test_saved_step_is_not_saved_again(tmp_path):
    checkpoints = Checkpoints(tmp_path, metric="psnr_rgb")
    checkpoints.save(state(1))
    checkpoints.save(state(1).replace(params=state(5).params))
    checkpoints.wait()
    np.testing.assert_array_equal(checkpoints.restore(1, state(0)).params["a"], state(1).params["a"])


def test_donating_the_state_does_not_corrupt_a_pending_save(tmp_path):
    checkpoints = Checkpoints(tmp_path, metric="psnr_rgb", keep=3)
    step = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
    now = state(0, size=2**19)
    for _ in range(3):
        checkpoints.save(now)
        now = step(now)
    checkpoints.wait()
    for number in range(3):
        back = checkpoints.restore(number, state(0, size=2**19))
        assert np.ptp(np.asarray(back.params["b"])) == 0
        assert back.params["b"][0, 0] == number


def test_checkpoint_of_another_model_lists_mismatched_leaves(tmp_path):
    checkpoints = saved(tmp_path, [None])
    with pytest.raises(UserError, match=r"ema/a is \(4, 3\) there, \(5, 3\) here; .* and 3 more$"):
        checkpoints.restore(1, state(0, size=5))
    with pytest.raises(UserError, match=r"ema/c is missing there, \(4, 3\) here"):
        checkpoints.restore(1, state(0, names=("a", "b", "c")))
    with pytest.raises(UserError, match=r"ema/b is \(4, 3\) there, missing here"):
        checkpoints.restore(1, state(0, names=("a",)))


def test_missing_step_lists_the_existing_steps(tmp_path):
    with pytest.raises(UserError, match="has no checkpoint 7; it has 1, 2"):
        saved(tmp_path, [None, None]).restore(7, state(0))


def data_file(folder):
    return max((path for path in (folder / "default").rglob("*") if path.is_file()), key=lambda p: p.stat().st_size)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make_hole(path):
    """Zeros in the middle, where arrays are: Orbax alone reads wrong values without an error."""
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])


DAMAGES = {
    "no data": (lambda folder: data_file(folder).unlink(), "is missing"),
    "half the data": (lambda folder: cut(data_file(folder)), r"has [\d,]+ of [\d,]+ bytes"),
    "empty data": (lambda folder: data_file(folder).write_bytes(b""), r"has 0 of [\d,]+ bytes"),
    "zeros": (
        lambda folder: data_file(folder).write_bytes(bytes(data_file(folder).stat().st_size)),
        "has changed since it was written",
    ),
    "a hole": (lambda folder: make_hole(data_file(folder)), "has changed since it was written"),
    "no manifest": (lambda folder: (folder / "default" / "manifest.ocdbt").unlink(), "manifest.ocdbt is missing"),
    "no metadata": (lambda folder: (folder / "default" / "_METADATA").unlink(), "_METADATA is missing"),
    "half the metadata": (lambda folder: cut(folder / "default" / "_METADATA"), r"_METADATA has \d+ of [\d,]+ bytes"),
    "nothing": (lambda folder: shutil.rmtree(folder / "default"), "is missing"),
    "empty checksums": (lambda folder: (folder / "checksums.json").write_text(""), "checksums.json cannot be read"),
    "other checksums": (lambda folder: (folder / "checksums.json").write_text("[3]"), "checksums.json cannot be read"),
}
damages = pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)


@damages
def test_previous_checkpoint_replaces_a_damaged_one(tmp_path, damage, reason):
    saved(tmp_path, [None, None]).close()
    damage(tmp_path / "checkpoints" / "2")
    checkpoints = CheckpointReader(tmp_path, metric="psnr_rgb")
    with pytest.raises(Damaged, match=rf"checkpoints/2 is damaged \(.*{reason}\)$") as error:
        checkpoints.restore(2, state(0))
    assert "\n" not in str(error.value)
    step, back, found = checkpoints.restore_first(checkpoints.steps(), state(0))
    assert (step, len(found)) == (1, 1)
    jax.tree.map(np.testing.assert_array_equal, back, state(1))


@pytest.mark.parametrize("name", [name for name in DAMAGES if name != "a hole" and "checksums" not in name])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of Orbax's threads
def test_damage_is_detected_without_checksums(tmp_path, name):
    """Earlier checkpoints have no checksums. A hole is not detected in them."""
    saved(tmp_path, [None]).close()
    DAMAGES[name][0](tmp_path / "checkpoints" / "1")
    (tmp_path / "checkpoints" / "1" / "checksums.json").unlink()
    with pytest.raises(Damaged, match="checkpoints/1 is damaged"):
        CheckpointReader(tmp_path, metric="psnr_rgb").restore(1, state(0))


def test_resumed_run_sets_damaged_checkpoints_aside_and_saves_their_steps_again(tmp_path, logged):
    for _ in range(2):
        saved(tmp_path, [None, None]).close()
        cut(data_file(tmp_path / "checkpoints" / "2"))
        logged.clear()
        checkpoints = Checkpoints(tmp_path, metric="psnr_rgb")
        step, back = checkpoints.resume(state(0))
        assert (step, int(back.step)) == (1, 1)
        assert len(logged) == 1
        assert "checkpoints/2 is damaged" in logged[0]
        assert logged[0].endswith(f"moved to {tmp_path / 'damaged'}, resuming from checkpoint 1")
        checkpoints.save(state(2))
        checkpoints.close()
    jax.tree.map(
        np.testing.assert_array_equal,
        CheckpointReader(tmp_path, metric="psnr_rgb").restore(2, state(0)),
        state(2),
    )
    assert sorted(path.name for path in (tmp_path / "damaged").iterdir()) == ["2", "2.1"]


def test_run_with_only_damaged_checkpoints_does_not_restart_silently(tmp_path):
    saved(tmp_path, [None, None]).close()
    for step in "12":
        cut(data_file(tmp_path / "checkpoints" / step))
    with pytest.raises(
        UserError, match=r"/2 is damaged .*; .*/1 is damaged .*; move .*checkpoints away to start from step 0$"
    ):
        Checkpoints(tmp_path, metric="psnr_rgb").resume(state(0))
    assert steps(tmp_path) == [1, 2]


@pytest.mark.parametrize("content", ["", '{"psnr_', "\0" * 17, "[]", None])
def test_damaged_score_file_does_not_invalidate_its_checkpoint(tmp_path, content, logged):
    saved(tmp_path, [5.0, 9.0]).close()
    path = tmp_path / "checkpoints" / "2" / "metrics" / "metrics"
    path.unlink() if content is None else path.write_text(content)
    reading = CheckpointReader(tmp_path, metric="psnr_rgb")
    assert (reading.latest_step(), reading.best_step()) == (2, 1)
    training = Checkpoints(tmp_path, metric="psnr_rgb")
    assert len(logged) == (content is not None)
    assert training.resume(state(0))[0] == 2
    training.save(state(3), metrics={"psnr_rgb": 1.0})
    training.close()
    assert CheckpointReader(tmp_path, metric="psnr_rgb").best_step() == 1


def test_incomplete_checkpoint_of_a_killed_run_is_removed_and_never_read(tmp_path):
    saved(tmp_path, [None]).close()
    leftover = tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp"
    (leftover / "metrics").mkdir(parents=True)
    (leftover / "metrics" / "metrics").write_text("{")
    assert CheckpointReader(tmp_path, metric="psnr_rgb").latest_step() == 1
    assert leftover.exists()  # another process may be writing it
    training = Checkpoints(tmp_path, metric="psnr_rgb")
    assert training.latest_step() == 1
    training.save(state(2))
    training.close()
    assert not leftover.exists()
