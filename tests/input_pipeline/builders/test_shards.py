from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from input_pipeline.builders.shards import Entry, fingerprint, plan, read_images
from input_pipeline.sampling import by_hash
from ultrabm_jax.errors import UserError

ROOT = Path(__file__).resolve().parents[3]


def entries(count, nbytes=100):
    return [Entry(str(k), {}, nbytes) for k in range(count)]


def planned(these, shard_bytes=250):
    return plan(
        "train", these, read=read_images, shard_bytes=shard_bytes,
        file_name=lambda shard_index, num_shards: f"{shard_index}-of-{num_shards}",
    )  # fmt: skip


@pytest.mark.parametrize(("count", "lengths"), [(1, [1]), (2, [2]), (3, [2, 1]), (8, [2, 2, 2, 2])])
def test_all_shards_but_the_last_hold_the_same_number(count, lengths):
    shards = planned(entries(count))
    assert [len(shard.entries) for shard in shards] == lengths
    assert [entry.name for shard in shards for entry in shard.entries] == [str(k) for k in range(count)]
    assert [shard.file_name for shard in shards] == [f"{k}-of-{len(lengths)}" for k in range(len(lengths))]


def test_size_of_shards_follows_the_mean_of_the_images():
    assert len(planned(entries(64, 2**20), 2**24)) == 4
    assert len(planned(entries(3, 10**9))) == 3  # one image is larger than a shard should be
    assert len(planned(entries(9, 0))) == 1


def test_names_must_differ():
    with pytest.raises(UserError, match="two examples of train have the name '0'"):
        planned([*entries(2), Entry("0", {}, 1)])


def test_fingerprint_depends_on_every_file_field_and_shard(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"1")
    entry = Entry("a", {"low": file}, 100, {"scene": "s"})

    def of(*these, salt="1.0.0", root=tmp_path, shard_bytes=250):
        return fingerprint(planned(list(these), shard_bytes), root=root, salt=salt)

    first = of(entry)
    assert of(entry) == first
    changed = {
        of(entry, salt="1.0.1"),
        of(replace(entry, fields={"scene": "t"})),
        of(replace(entry, name="b")),
        of(entry, Entry("b", {"low": file}, 100)),
        of(entry, Entry("b", {"low": file}, 100), shard_bytes=100),
    }
    os.utime(file, ns=(5, 5))
    changed.add(of(entry))
    file.write_bytes(b"12")
    os.utime(file, ns=(5, 5))
    changed.add(of(entry))
    assert len(changed | {first}) == 8
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert of(replace(entry, files={"low": moved / "a.png"}), root=moved) in changed  # its folder does not matter
    (moved / "a.png").unlink()
    with pytest.raises(UserError, match=r"a\.png: cannot be read"):
        of(replace(entry, files={"low": moved / "a.png"}), root=moved)


def test_order_by_hash_uses_sha256():
    assert by_hash(["a", "b", "c", "d"], salt="x") == by_hash("dcba", salt="x") == ["a", "b", "d", "c"]
    assert by_hash("abcd", salt="y") != by_hash("abcd", salt="x")


def test_importing_the_package_imports_neither_tensorflow_nor_tfds():
    code = "import sys, input_pipeline, input_pipeline.builders, input_pipeline.prepare; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"tensorflow", "tensorflow_datasets"} & set(done.stdout.split())
