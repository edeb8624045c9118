"""Training and evaluation on data in Google Cloud Storage, on a local server; skipped without the server and gcsfs."""

from __future__ import annotations

import json
import shutil

import pytest
from run_files import equal, log
from tiny import tiny_config

from input_pipeline.prepare import main as prepare
from ultrabm_jax.commands.run_config import get_config
from ultrabm_jax.evaluation import evaluate
from ultrabm_jax.training import train_and_evaluate

pytestmark = pytest.mark.usefixtures("no_tensorboard")


@pytest.fixture(scope="module")
def upload(bucket):
    """`upload(folder, name)` copies a folder into the bucket and returns its URL."""
    import fsspec

    def copy(folder, name):
        fsspec.filesystem("gs", use_listings_cache=False).put(str(folder), f"{bucket}/{name}", recursive=True)
        return f"{bucket}/{name}"

    return copy


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ULTRABM_DATA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gs" / "runs"


@pytest.fixture
def records(pairs, tmp_path, monkeypatch):
    """Records lol/v1 of five training and five test pairs."""
    pytest.importorskip("tensorflow_datasets")
    for name in ("TF_CPP_MIN_LOG_LEVEL", "OMP_NUM_THREADS"):  # the command sets them
        monkeypatch.setenv(name, "1")
    for part in ("our485", "eval15"):
        for kind in ("low", "high"):  # of one size, as in LOL
            shutil.copytree(pairs / "high", tmp_path / "LOL" / part / kind)
    folder = tmp_path / "RECORDS"
    folders = ["--data_dir", str(folder), "--manual_dir", str(tmp_path / "LOL")]
    assert prepare(["lol/v1", *folders, "--processes", "1"]) == 0
    return folder


def shards(folder):
    return sorted(path.name for path in folder.rglob("*.tfrecord-*"))


def test_records_in_a_bucket_train_and_evaluate_as_on_disk(records, upload, cache, tmp_path):
    url = upload(records, "records")
    settings = {"data.dataset": "lol/v1", "data.holdout": (0.2, 0.0), "train.steps": 4, "eval.baselines": ()}
    settings |= {"eval.speed": False, "eval.protocols": ("psnr_rgb",)}
    local, remote = (tiny_config(**settings, data__records=str(place)) for place in (records, url))
    state = train_and_evaluate(local, tmp_path / "local")
    assert equal(train_and_evaluate(remote, tmp_path / "remote"), state)
    losses = [line["loss/total"] for line in log(tmp_path / "local") if "loss/total" in line]
    assert [line["loss/total"] for line in log(tmp_path / "remote") if "loss/total" in line] == losses
    assert len(losses) == 4
    assert json.loads((tmp_path / "remote" / "config.json").read_text())["config"]["data"]["records"] == url
    assert shards(cache) == ["lol-train.tfrecord-00000-of-00001"]
    summary = evaluate(get_config(str(tmp_path / "remote")), tmp_path / "remote")
    assert summary["mean"] == evaluate(local, tmp_path / "local")["mean"]
    assert summary["config"]["data"]["records"] == url
    assert shards(cache) == [f"lol-{part}.tfrecord-00000-of-00001" for part in ("test", "train")]


def test_a_mixture_of_folders_in_a_bucket_trains_as_on_disk(pairs, upload, cache, tmp_path):
    url = upload(pairs, "pairs")

    def config(root):
        members = ((f"paired:{root}", 0.5), (f"synthetic:{root}/high", 0.5, {"holdout": (0.2, 0.0)}))
        return tiny_config(data__mixture=members, data__eval_members=("high",), train__steps=4)

    state = train_and_evaluate(config(pairs), tmp_path / "local")
    assert equal(train_and_evaluate(config(url), tmp_path / "remote"), state)
    scores = [[line for line in log(tmp_path / name) if "eval/psnr_rgb" in line] for name in ("local", "remote")]
    assert [line["eval/psnr_rgb"] for line in scores[0]] == [line["eval/psnr_rgb"] for line in scores[1]] != []
    saved = json.loads((tmp_path / "remote" / "config.json").read_text())["config"]["data"]
    assert saved["mixture"] == [[f"paired:{url}", 0.5], [f"synthetic:{url}/high", 0.5, {"holdout": [0.2, 0.0]}]]
    assert (cache / "pairs" / "high" / "0.png").is_file()
