from html.parser import HTMLParser

import numpy as np
import pytest

from ultrabm_jax.report import Row, text_table, write_page
from ultrabm_jax.report.page import best_baseline
from ultrabm_jax.report.pictures import evenly, thumbnail

UP = {"psnr_rgb": True, "lpips_alex": False}


@pytest.fixture
def summary():
    return {
        "model": "ultrabm",
        "dataset": "<lol>",
        "scale": 2,
        "count": 2,
        "step": 1200,
        "mean": {"psnr_rgb": 21.5, "lpips_alex": None},
        "std": {"psnr_rgb": 1.25, "lpips_alex": None},
        "baselines": {
            "bicubic": {"psnr_rgb": 7.75, "lpips_alex": None},
            "gamma_bicubic": {"psnr_rgb": 12.5, "lpips_alex": None},
        },
        "unavailable": {"lpips_alex": "alexnet.ckpt is missing"},
        "config": {"seed": 100},
        "versions": {"jax": "0.10"},
        "devices": ["cpu"],
        "seconds": 3.0,
    }


class Reader(HTMLParser):
    """Collects what a test asks about, and checks that tags close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.sources, self.heads, self.text = [], [], [], [], ""

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs["href"]] if "href" in attrs else []
        self.sources += [attrs["src"]] if "src" in attrs else []
        if tag not in ("meta", "img", "line", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "th":
            self.heads.append(data.strip())


def read(path):
    reader = Reader()
    reader.feed(path.read_text())
    assert not reader.open
    return reader


def test_the_page_is_self_contained_and_complete(tmp_path, summary):
    small = thumbnail(np.zeros((4, 6, 3), np.uint8))
    thumbnails = dict.fromkeys(("input", "bicubic", "gamma_bicubic", "ultrabm", "reference"), small)
    scores = {m: {"psnr_rgb": 20.0, "lpips_alex": None} for m in ("ultrabm", "gamma_bicubic")}
    rows = [Row("a & b", "../restored/a.png", thumbnails, scores)]
    log = {"loss/total": [(1, 2.0), (2, 1.0)], "loss/r": [(1, 0.3), (2, 0.2)], "eval/psnr_rgb": [(2, 20.0)]}
    write_page(tmp_path / "report" / "index.html", summary, rows, log, higher_is_better=UP)
    page = read(tmp_path / "report" / "index.html")
    assert page.links == ["../restored/a.png"]
    assert len(page.sources) == 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    for protocol in UP:
        assert protocol in page.heads
    for words in (
        "ultrabm x2 on <lol>",
        "21.50",
        "± 1.25",
        "not available",
        "alexnet.ckpt is missing",
        "a & b",
        "1 of 2 pictures",
        "training loss",
    ):
        assert words in page.text, words


def test_without_log_and_pictures_there_is_still_a_page(tmp_path, summary):
    write_page(tmp_path / "index.html", summary, [], {}, higher_is_better=UP)
    assert "no curves" in read(tmp_path / "index.html").text


def test_the_best_baseline_follows_the_direction_of_the_protocol(summary):
    assert best_baseline(summary, UP) == "gamma_bicubic"
    assert best_baseline(summary, {"psnr_rgb": False}) == "bicubic"


def test_infinite_values_are_shown(tmp_path, summary):
    summary["mean"]["psnr_rgb"] = "inf"
    write_page(tmp_path / "index.html", summary, [], {}, higher_is_better=UP)
    assert "inf" in read(tmp_path / "index.html").text


def test_text_table(summary):
    lines = text_table(summary).splitlines()
    assert lines[0].split() == ["psnr_rgb", "lpips_alex"]
    assert lines[1].split() == ["ultrabm", "21.5000", "n/a"]
    assert lines[-1] == "lpips_alex is not available: alexnet.ckpt is missing"


@pytest.mark.parametrize(("count", "shown", "expected"), [(3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (5, 1, [0])])
def test_evenly(count, shown, expected):
    assert evenly(count, shown) == expected
