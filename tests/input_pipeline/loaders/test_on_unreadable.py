"""data.on_unreadable for every kind of unreadable file: one error that names it, or a run without it."""

from __future__ import annotations

import logging
import os

import numpy as np
import pytest
from PIL import Image

from input_pipeline import open_source, train_batches
from ultrabm_jax.errors import UserError


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeros(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))


def one_bit(path):
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 4
    path.write_bytes(whole)


def instead(make):
    def replace(path):
        path.unlink()
        make(path)

    return replace


BAD = {
    "cut": cut,
    "zeros": zeros,
    "one bit": one_bit,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("<html>"),
    "float": lambda path: Image.fromarray(np.ones((24, 32), np.float32)).save(path, "TIFF"),
    "pipe": instead(os.mkfifo),
    "folder": instead(os.mkdir),
    "circle": instead(lambda path: path.symlink_to(path.name)),
    "dangling": instead(lambda path: path.symlink_to("gone.png")),
}


def take(source, loader):
    options = {"seed": 0, "start_step": 0, "stop_step": 5, "batch_size": 2, "patch_size": 4}
    return list(train_batches(source, loader=loader, **options))


@pytest.mark.parametrize("kind", BAD)
def test_unreadable_file_stops_the_run_and_is_named(data, pairs, kind):
    BAD[kind](pairs / "high" / "3.png")
    data.root = str(pairs)
    with pytest.raises(UserError, match=r"high/3\.png: ") as caught:
        take(open_source(data, scale=2), "threads")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", BAD)
def test_unreadable_file_is_skipped_and_counted(data, pairs, kind, caplog):
    BAD[kind](pairs / "high" / "3.png")
    data.update(root=str(pairs), on_unreadable="skip")
    with caplog.at_level(logging.WARNING):
        source = open_source(data, scale=2)
    assert [source.name(i) for i in range(len(source))] == ["0", "1", "2", "4"]
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == ["left out 1 unreadable images"]
    assert len(take(source, "threads")) == 5


@pytest.mark.parametrize("kind", BAD)
def test_unreadable_photos_are_handled_alike(data, pairs, kind):
    BAD[kind](pairs / "high" / "3.png")
    data.update(dataset="synthetic", root=str(pairs / "high"))
    if kind != "folder":  # a folder is searched, also if its name ends in .png
        with pytest.raises(UserError, match=r"high/3\.png: "):
            take(open_source(data, scale=2), "threads")
    data.on_unreadable = "skip"
    assert len(open_source(data, scale=2)) == 4


def test_unreadable_file_raises_through_tensorflow(data, pairs):
    zeros(pairs / "high" / "3.png")
    data.root = str(pairs)
    with pytest.raises(UserError, match=r"high/3\.png: cannot be decoded"):
        take(open_source(data, scale=2), "tfdata")


@pytest.mark.parametrize("policy", ["error", "skip"])
def test_other_defects_are_never_skipped(data, pairs, policy):
    (pairs / "low" / "2.png").unlink()
    data.update(root=str(pairs), on_unreadable=policy)
    with pytest.raises(UserError, match=r"1 unpaired: .*high/2\.png"):
        open_source(data, scale=2)
