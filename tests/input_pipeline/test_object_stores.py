"""Local copies of data in object stores; the tests that need a server skip where it is not installed."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections import namedtuple
from pathlib import Path

import pytest

from input_pipeline import check, prepare
from input_pipeline.files.listing import MissingData
from input_pipeline.object_stores import data_cache_folder, local_copy, local_data, local_folder, objects
from input_pipeline.object_stores.objects import StoreFolder, file_digest
from ultrabm_jax import cli
from ultrabm_jax.errors import UserError

FILES = {"a.txt": b"first", "empty": b"", "sub/b c#?%20é.txt": b"second"}
# Copies a folder and ends without cleaning up, as a killed process does, when the third object is to be fetched.
KILLED = """
import os, sys
from input_pipeline.object_stores import local_copy, objects
local_copy.WORKERS = 1
fetch, fetched = objects.StoreFolder.fetch, []
def killed(self, item, target, received, **options):
    fetch(self, item, target, received, **options)
    fetched.append(item.name)
    if len(fetched) == 3:
        os._exit(9)
objects.StoreFolder.fetch = killed
local_copy.local_folder(sys.argv[1])
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ULTRABM_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(local_copy, "PAUSE", 0.0)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def store(bucket):
    import fsspec

    return fsspec.filesystem("gs", use_listings_cache=False)


@pytest.fixture
def folder(bucket, store, request):
    """The URL of a folder with `FILES`, beside one with a longer name."""
    name = f"runs/{request.node.name}/data"
    store.pipe({f"{name}/{file}": content for file, content in FILES.items()} | {f"{name}2/other": b""})
    return f"gs://{name}"


@pytest.fixture
def fetched(monkeypatch):
    """The names of the objects that have been fetched since the list was last cleared."""
    names: list[str] = []
    fetch = StoreFolder.fetch

    def counted(self, item, target, received, **options):
        names.append(item.name)
        fetch(self, item, target, received, **options)

    monkeypatch.setattr(StoreFolder, "fetch", counted)
    return names


def content(path):
    """{name: bytes} of the files below a folder."""
    files = (file for file in Path(path).rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def test_a_folder_is_copied_once(folder, cache, fetched, logged):
    path = local_folder(f"{folder}/")
    assert path == str(cache / "gs" / folder.removeprefix("gs://"))
    assert content(path) == FILES
    assert f"copying {folder} to {path}: 3 files, 0.00 GiB" in logged
    assert logged[-1].endswith(f" s; the copies of 1 bucket in {cache} take 0.00 GiB")
    assert len(fetched) == 3
    lines = len(logged)
    assert local_folder(folder) == path
    assert len(fetched) == 3
    assert len(logged) == lines


def test_changed_objects_are_fetched_and_those_that_left_removed(folder, store, fetched, logged):
    path = local_folder(folder)
    fetched.clear()
    store.pipe({f"{folder}/a.txt": b"FIRST", f"{folder}/new": b"new"})
    store.rm(f"{folder}/sub/b c#?%20é.txt")
    local_folder(folder)
    assert sorted(fetched) == ["a.txt", "new"]
    assert content(path) == {"a.txt": b"FIRST", "empty": b"", "new": b"new"}
    assert not (Path(path) / "sub").exists()
    assert any(line.endswith(f"removed 1 file that left the bucket from {path}") for line in logged)


def test_a_changed_copy_is_replaced_and_an_equal_one_is_kept(folder, fetched):
    path = Path(local_folder(folder))
    fetched.clear()
    (path / "a.txt").write_bytes(b"FIRST")
    (path / "sub" / "b c#?%20é.txt").touch()
    local_folder(folder)
    assert fetched == ["a.txt"]
    assert content(path) == FILES
    local_folder(folder)
    assert fetched == ["a.txt"]


def test_a_large_object_is_read_in_parts(bucket, store):
    content_of = {"large": bytes(range(256)) * (20 << 12)}  # 20 MiB: two parts
    store.pipe({f"{bucket}/large/{name}": data for name, data in content_of.items()})
    assert content(local_folder(f"{bucket}/large")) == content_of


def test_a_killed_copy_is_continued(bucket, store, cache, fetched):
    url = f"{bucket}/killed/data"
    files = {f"{k}.bin": bytes([k]) * 1000 for k in range(5)}
    store.pipe({f"{url}/{name}": data for name, data in files.items()})
    done = subprocess.run([sys.executable, "-c", KILLED, url], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 9
    path = cache / "gs" / "runs" / "killed" / "data"
    assert sorted(content(path)) == ["0.bin", "1.bin"]
    assert len(content(cache / "gs" / ".runs.parts")) == 1
    assert content(local_folder(url)) == files
    assert sorted(fetched) == ["2.bin", "3.bin", "4.bin"]
    assert not (cache / "gs" / ".runs.parts").exists()


def test_files_are_recognised_without_the_journal(folder, cache, fetched):
    local_folder(folder)
    with (cache / "gs" / ".runs.journal").open("w") as journal:
        journal.write('["runs/x", "ver')
    fetched.clear()
    local_folder(folder)
    assert fetched == []


def test_a_second_process_waits(folder, cache, logged):
    (cache / "gs").mkdir(parents=True)
    with (cache / "gs" / ".runs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Event()
        other = threading.Thread(target=local_folder, args=(folder,))
        other.start()
        while f"{folder}: waiting for another process that copies from this bucket" not in logged:
            assert not waiting.wait(0.01)
        assert not content(cache / "gs" / "runs")
    other.join(timeout=30)
    assert content(cache / "gs" / folder.removeprefix("gs://")) == FILES


def test_a_failed_read_is_repeated(folder, monkeypatch):
    fetch, failures = StoreFolder.fetch, [ConnectionError("reset"), OSError("again")]

    def flaky(self, item, target, received, **options):
        if failures and item.name == "a.txt":
            raise failures.pop()
        fetch(self, item, target, received, **options)

    monkeypatch.setattr(StoreFolder, "fetch", flaky)
    assert content(local_folder(folder)) == FILES
    assert not failures


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (ConnectionError("reset by peer"), r"a\.txt cannot be copied \(reset by peer\); start again"),
        (PermissionError("no access"), r"a\.txt cannot be read \(no access\)"),
        (None, r"a\.txt changed while it was copied; start again"),
    ],
)
def test_objects_that_cannot_be_copied_are_named(folder, monkeypatch, fault, message):
    fetch = StoreFolder.fetch

    def faulty(self, item, target, received, **options):
        if fault is not None and item.name == "a.txt":
            raise fault
        fetch(self, item, target, received, **options)
        if item.name == "a.txt":
            target.write_bytes(b"FIRST")

    monkeypatch.setattr(StoreFolder, "fetch", faulty)
    with pytest.raises(UserError, match=message):
        local_folder(folder)


def test_the_disk_must_have_the_room(folder, monkeypatch, fetched, cache):
    usage = namedtuple("usage", "total used free")(100, 90, 10)
    monkeypatch.setattr(local_copy.shutil, "disk_usage", lambda path: usage)
    rest = rf"_DATA_CACHE .* delete copies that no run reads \(the copies of 0 buckets in {cache} take 0\.00 GiB\)"
    with pytest.raises(UserError, match=rf"does not fit on the disk of {cache / 'gs'}, where 0\.00 GiB .*{rest}"):
        local_folder(folder)
    assert not fetched


def test_a_deleted_copy_is_made_again(folder, fetched):
    path = Path(local_folder(folder))
    shutil.rmtree(path)
    fetched.clear()
    assert content(local_folder(folder)) == FILES
    assert sorted(fetched) == sorted(FILES)


def test_the_size_of_all_copies(cache):
    assert local_copy.describe_copies() == f"the copies of 0 buckets in {cache} take 0.00 GiB"
    for name, size in (("gs/a/sub/x", 2**30), ("gs/a/y", 2**29), ("s3/b/z", 2**30), ("gs/.a.parts/0", 2**30)):
        path = cache / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, size)
    (cache / "gs" / ".a.journal").touch()
    (cache / "s3" / "b" / "broken").symlink_to("nowhere")
    assert local_copy.describe_copies() == f"the copies of 2 buckets in {cache} take 2.50 GiB"


def test_a_cache_that_cannot_be_written_is_named(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ULTRABM_DATA_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot be copied to .*file/gs \(Not a directory\); \$ULTRABM_DATA_CACHE"):
        local_folder(folder)


def test_names_that_leave_the_folder_are_left_out(folder, cache, logged):
    server, place = os.environ["STORAGE_EMULATOR_HOST"], folder.removeprefix("gs://runs/")
    name = urllib.request.quote(f"{place}/../../../../escaped", safe="")
    urllib.request.urlopen(f"{server}/upload/storage/v1/b/runs/o?uploadType=media&name={name}", b"x").close()
    assert content(local_folder(folder)) == FILES
    assert not list(cache.parent.rglob("escaped"))
    assert f"warning: {folder}: left out objects that are no files: ../../../../escaped" in logged


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gs://runs/none", "gs://runs/none holds no objects: check the path"),
        ("gs://missing/x", "gs://missing/x: there is no bucket 'missing', or this account cannot see it"),
        ("gs:///x", "gs:///x is not of the form gs://BUCKET/FOLDER"),
        ("gs://runs/../x", "gs://runs/../x is not of the form gs://BUCKET/FOLDER"),
    ],
)
def test_wrong_urls_are_explained(bucket, path, message):
    with pytest.raises(UserError, match=message):
        local_folder(path)


def test_an_object_is_not_a_folder(folder):
    with pytest.raises(MissingData, match=r"a\.txt is an object, not a folder"):
        local_folder(f"{folder}/a.txt")


def test_the_store_must_be_reachable(bucket, monkeypatch):
    import fsspec

    monkeypatch.setattr(fsspec, "filesystem", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no credentials")))
    with pytest.raises(UserError, match=r"gs://runs/x cannot be listed \(no credentials\)"):
        local_folder("gs://runs/x")


def test_other_stores_are_refused_and_extras_named(monkeypatch):
    with pytest.raises(UserError, match=r"az://x/y: data are read from a folder on disk, or from gs:// and s3://"):
        local_folder("az://x/y")
    monkeypatch.setattr(objects, "find_spec", lambda name: None)
    for scheme, module, extra in (("gs", "gcsfs", "gcs"), ("s3", "s3fs", "s3")):
        with pytest.raises(UserError, match=rf'data in an object store needs {module}: pip install ".*\[{extra}\]"'):
            local_folder(f"{scheme}://x/y")


def test_digests_are_those_of_the_store(tmp_path):
    pytest.importorskip("google_crc32c")
    (tmp_path / "file").write_bytes(b"hello")
    assert file_digest(tmp_path / "file", "md5") == "XUFAKrxLKna5cZ2REBfFkg=="
    assert file_digest(tmp_path / "file", "crc32c") == "mnG7TA=="


def test_folders_on_disk_stay(data, tmp_path, monkeypatch):
    assert local_folder("some/folder") == "some/folder"
    data.update({"root": "a", "eval_root": "b", "photos": "c", "mixture": (("paired:d", 1.0, {"name": "e"}),)})
    assert local_data(data, scale=2, splits=("train", "val")).to_dict() == data.to_dict()
    monkeypatch.delenv("ULTRABM_DATA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_cache_folder() == tmp_path / "ultrabm_jax" / "data"


def test_fields_are_replaced_as_far_as_the_splits_need_them(folder, data, cache, store):
    local = str(cache / "gs" / folder.removeprefix("gs://"))
    data.update({"root": folder, "eval_root": f"{folder}/sub", "photos": folder})
    before = data.to_dict()
    fields = ("root", "eval_root", "photos")
    assert [local_data(data, scale=2, splits=("train",))[field] for field in fields] == [local, f"{folder}/sub", local]
    assert [local_data(data, scale=2, splits=("val",))[field] for field in fields] == [folder, f"{local}/sub", folder]
    assert data.to_dict() == before
    data.root = "gs://runs/none"
    with pytest.raises(MissingData, match=r"data\.root: gs://runs/none holds no objects"):
        local_data(data, scale=2, splits=("train",))


def test_members_of_a_mixture_are_replaced(folder, data, cache):
    local = str(cache / "gs" / folder.removeprefix("gs://"))
    photos = (f"synthetic:{folder}", 1.0, {"name": "b", "eval_root": folder})
    mixture = ((f"paired:{folder}", 1.0), photos, ("lol", 2.0))
    data.update({"root": "here", "mixture": mixture, "eval_members": ("b",)})
    (first, second, third) = local_data(data, scale=2, splits=("train",)).mixture
    assert first == (f"paired:{folder}", 1.0, {"root": local})
    assert second[2] == {"name": "b", "eval_root": folder, "root": local}
    assert third == ("lol", 2.0)
    first, second, third = local_data(data, scale=2, splits=("val",)).mixture
    assert first == (f"paired:{folder}", 1.0)
    assert second[2] == {"name": "b", "eval_root": local}
    data.mixture = (("paired:gs://runs/none", 1.0),)
    data.eval_members = ()
    with pytest.raises(MissingData, match=r"data\.mixture: none: data\.root: gs://runs/none holds no objects"):
        local_data(data, scale=2, splits=("train",))


def test_records_are_copied_by_split(bucket, store, data, fetched, cache):
    records = f"{bucket}/records"
    info = {"name": "lol", "splits": [{"name": name, "shardLengths": ["1", "1"]} for name in ("train", "val", "test")]}
    for version in ("1.0.0", "1.10.0", "1.9.0"):
        files = {"dataset_info.json": json.dumps(info).encode(), "features.json": b"{}"}
        for split in ("train", "train_reference", "val", "test"):
            files |= {f"lol-{split}.tfrecord-0000{k}-of-00002": b"x" for k in range(2)}
        store.pipe({f"{records}/lol/v1/{version}/{name}": content for name, content in files.items()})
    store.pipe({f"{records}/other/1.0.0/dataset_info.json": b"{}"})
    data.update({"dataset": "lol", "records": f"{records}/", "root": "unused"})

    def shards(*splits):
        fetched.clear()
        own = local_data(data, scale=2, splits=splits)
        assert own.root == "unused"
        return own.records, sorted(name for name in fetched if ".tfrecord-" in name)

    path, names = shards("val")
    assert path == str(cache / "gs" / "runs" / "records")
    assert names == [f"1.10.0/lol-val.tfrecord-0000{k}-of-00002" for k in range(2)]
    parts = ("train.tfrecord", "train_reference.tfrecord")
    assert shards("train", "val")[1] == [f"1.10.0/lol-{part}-0000{k}-of-00002" for part in parts for k in range(2)]
    assert shards("eval")[1] == [f"1.10.0/lol-test.tfrecord-0000{k}-of-00002" for k in range(2)]
    data.records = f"{bucket}/none"
    with pytest.raises(MissingData, match=r"data\.records=gs://runs/none has no prepared data set 'lol/v1' .*prepare"):
        local_data(data, scale=2, splits=("train",))


def test_the_checks_read_from_a_bucket(bucket, store, pairs, capsys):
    url = f"{bucket}/checked/pairs"
    store.put(str(pairs), url, recursive=True)
    assert check.main(["--paired", url]) == 0
    assert capsys.readouterr().out.strip() == "0 defects; usable: train 5"
    assert check.main(["--paired", f"{bucket}/checked/none"]) == 1
    assert "error: gs://runs/checked/none holds no objects" in capsys.readouterr().err


def test_records_are_prepared_from_a_bucket(bucket, tmp_path, capsys):
    argv = ["lol/v1", "--data_dir", str(tmp_path / "records"), "--manual_dir", f"{bucket}/none"]
    assert cli.run(lambda: prepare.main(argv)) == 1
    assert capsys.readouterr().err == "error: gs://runs/none holds no objects: check the path\n"


def test_records_are_not_written_to_a_bucket(capsys):
    argv = ["lol/v1", "--data_dir", "gs://x/records", "--manual_dir", "LOL"]
    assert cli.run(lambda: prepare.main(argv)) == 1
    said = "error: --data_dir=gs://x/records: this must be a path on a disk, not a URL; "
    said += "copy between disk and store with `gcloud storage cp -r`\n"
    assert capsys.readouterr().err == said


@pytest.fixture(scope="module")
def s3():
    """A file system of S3 on a local server with the bucket "data"."""
    if importlib.util.find_spec("s3fs") is None or importlib.util.find_spec("moto") is None:
        pytest.skip('needs a local server of S3: pip install ".[s3]" "moto[server]"')
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="localhost", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    import fsspec

    with pytest.MonkeyPatch.context() as patch:
        settings = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "us-east-1"}
        settings |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        for name, value in settings.items():
            patch.setenv(name, value)
        store = fsspec.filesystem("s3", use_listings_cache=False)
        store.mkdir("data")
        yield store
    server.stop()


def test_a_folder_of_s3_is_copied_and_updated(s3, cache, fetched):
    s3.pipe({f"data/set/{name}": content for name, content in FILES.items()} | {"data/set2/x": b""})
    path = local_folder("s3://data/set")
    assert path == str(cache / "s3" / "data" / "set")
    assert content(path) == FILES
    fetched.clear()
    local_folder("s3://data/set")
    assert fetched == []
    s3.pipe({"data/set/a.txt": b"FIRST"})
    s3.rm("data/set/empty")
    local_folder("s3://data/set")
    assert fetched == ["a.txt"]
    assert content(path) == {"a.txt": b"FIRST", "sub/b c#?%20é.txt": b"second"}


@pytest.mark.parametrize("url", ["s3://data/none", "s3://missing/x"])
def test_missing_data_in_s3_are_explained(s3, url):
    with pytest.raises(MissingData, match=url):
        local_folder(url)
