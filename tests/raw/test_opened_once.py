"""Restoring, reading and rendering a raw file open it exactly once, in Python and in LibRaw."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from raw.gray import Gray

from ultrabm_jax.inference.jobs import plan
from ultrabm_jax.inference.raw_files import restore_raw_files
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.models.red.task import REDTask
from ultrabm_jax.raw import read_raw
from ultrabm_jax.raw.cfa import BAYER
from ultrabm_jax.raw.rendering import render_reference
from ultrabm_jax.raw.synthetic import read_scene

rawpy = pytest.importorskip("rawpy")

watched: Path | None = None
opened: list[str] = []


def _record(event: str, arguments: tuple[object, ...]) -> None:
    if watched is not None and event == "open" and arguments[0] in (str(watched), watched):
        opened.append(event)


@pytest.fixture(scope="module", autouse=True)
def _audit():
    sys.addaudithook(_record)  # cannot be removed; does nothing unless a path is watched


@pytest.fixture
def watch(monkeypatch):
    """`watch(path)`, and from then on `opened` lists every opening of it."""

    class Watched(rawpy.RawPy):
        def open_file(self, path):
            opened.append("LibRaw")
            return super().open_file(path)

    def start(path: Path) -> None:
        opened.clear()
        monkeypatch.setattr(sys.modules[__name__], "watched", path)

    monkeypatch.setattr(rawpy, "RawPy", Watched)
    return start


def test_restoring_opens_the_file_once(dng, watch, tmp_path):
    path, _ = dng(make="Sony", model="ILCE-7SM2", orientation=6)
    watch(path)
    restorer = Restorer(REDTask(Gray()), {"params": {}}, tile=0)
    assert restore_raw_files(restorer, plan([path], tmp_path / "out"), m=[1, 4]) == 0
    assert opened == ["open"]


@pytest.mark.parametrize("read", [read_raw, render_reference, lambda path: read_scene(path, cfa="bayer")])
def test_readers_open_the_file_once(dng, watch, read):
    path, _ = dng(pattern=np.roll(BAYER, 1, 0))
    watch(path)
    read(path)
    assert opened == ["open"]
