import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from ultrabm_jax.report import ImageEntry, make_entry, text_table, write_page

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
        "ci95": {"psnr_rgb": [20.9, 22.1], "lpips_alex": None},
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


def images(*, reference=True, scale=2):
    """A small image of each source, as an evaluation passes them."""
    rng = np.random.default_rng(0)
    sizes = dict.fromkeys(("ultrabm", "bicubic", "gamma_bicubic"), (48 * scale, 64 * scale)) | {"input": (48, 64)}
    sizes |= {"reference": (48 * scale, 64 * scale)} if reference else {}
    return {source: rng.integers(0, 256, (*size, 3), np.uint8) for source, size in sizes.items()}


SCORES = {m: {"psnr_rgb": 20.0 + k, "lpips_alex": None} for k, m in enumerate(("ultrabm", "bicubic", "gamma_bicubic"))}


def entry(name="a & b", **options):
    return make_entry(name, "../restored/a.png", images(**options), SCORES, model="ultrabm", group="-2.5")


class Reader(HTMLParser):
    """Collects links, sources and text, and checks that tags close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.sources, self.heads, self.text = [], [], [], [], ""

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs["href"]] if "href" in attrs else []
        self.sources += [attrs["src"]] if "src" in attrs else []
        if tag not in ("meta", "link", "img", "br", "hr", "input"):
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
    log = {"loss/total": [(1, 2.0), (2, 1.0)], "loss/r": [(1, 0.3), (2, 0.2)], "eval/psnr_rgb": [(2, 20.0)]}
    write_page(tmp_path / "report" / "index.html", summary, [entry()], log, higher_is_better=UP)
    page = read(tmp_path / "report" / "index.html")
    assert page.links == ["data:,", "../restored/a.png"]
    assert len(page.sources) == 5 + 5 * 3 + 3  # under the slider, three regions of each source, error maps
    assert all(source.startswith("data:image/") for source in page.sources)
    for words in (
        "ultrabm x2 on <lol>",
        "psnr_rgb ↑",
        "lpips_alex ↓",
        "21.50",
        "± 1.25",
        "[20.90, 22.10]",
        "n/a",
        "alexnet.ckpt is missing",
        "a & b",
        "1 of 2 images",
        "training loss",
        "histogram of Y",
        "minus that of the reference",
    ):
        assert words in page.text, words


def test_the_heading_of_each_column_has_the_full_name_as_its_title(tmp_path, summary):
    write_page(tmp_path / "report" / "index.html", summary, [entry()], {}, higher_is_better=UP)
    text = (tmp_path / "report" / "index.html").read_text()
    headings = re.findall(r'<figcaption title="([^"]*)">([^<]*)</figcaption>', text)
    assert len(headings) == 5
    assert all(title == name for title, name in headings)


def test_an_entry_survives_json():
    made = entry()
    assert ImageEntry(**json.loads(json.dumps(dataclasses.asdict(made)))) == made


def test_without_a_reference_no_errors_are_shown(tmp_path, summary):
    write_page(tmp_path / "index.html", summary, [entry(reference=False)], {}, higher_is_better=UP)
    page = read(tmp_path / "index.html")
    assert len(page.sources) == 4 + 4 * 3
    assert "minus that of the reference" not in page.text
    assert "error |restored" not in page.text


@pytest.mark.parametrize("scale", [1, 4])
def test_any_scale(tmp_path, summary, scale):
    write_page(tmp_path / "index.html", summary, [entry(scale=scale)], {}, higher_is_better=UP)
    assert f"{64 * scale} x {48 * scale} pixels" in read(tmp_path / "index.html").text


def test_an_image_takes_at_most_300_kb(tmp_path, summary):
    rng = np.random.default_rng(0)
    methods = [f"method {k}" for k in range(10)]
    noise = {s: rng.integers(0, 256, (400, 600, 3), np.uint8) for s in ("input", *methods, "reference")}
    scores = {m: dict.fromkeys((f"protocol_{k}" for k in range(12)), 0.5) for m in methods}
    assert len(make_entry("a", "a.png", noise, scores, model=methods[0]).html.encode()) < 300_000


def test_all_images_are_in_the_table_and_those_shown_are_linked(tmp_path, summary):
    scores = {m: {"psnr_rgb": 10.0, "lpips_alex": None} for m in SCORES}
    table = [("a & b", "-2.5", SCORES), ("</script>", None, scores | {"ultrabm": {"psnr_rgb": float("inf")}})]
    write_page(tmp_path / "index.html", summary, [entry()], {}, higher_is_better=UP, table=table)
    text = (tmp_path / "index.html").read_text()
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert data["protocols"] == [["psnr_rgb", True, 2]]  # the other has no value
    assert data["images"] == [
        ["a & b", "-2.5", "image-1", [[20.0, 21.0, 22.0]]],
        ["</script>", None, None, [["inf", 10.0, 10.0]]],
    ]
    assert 'id="image-1"' in text


def test_each_method_has_a_line_of_scores_by_exposure_level(tmp_path, summary):
    part = {"count": 1, "mean": summary["mean"], "baselines": summary["baselines"]}
    summary["groups"] = {"-2.5": part, "-5.0": part}
    write_page(tmp_path / "index.html", summary, [], {}, higher_is_better=UP)
    text = (tmp_path / "index.html").read_text()
    assert text.count("<polyline") == 3  # psnr_rgb of three methods; lpips_alex has no values
    assert ">-2.5</text>" in text
    assert ">-5.0</text>" in text


def test_a_page_without_log_and_images(tmp_path, summary):
    write_page(tmp_path / "index.html", summary, [], {}, higher_is_better=UP)
    assert "there are no curves" in read(tmp_path / "index.html").text


def test_infinite_values_are_shown(tmp_path, summary):
    summary["mean"]["psnr_rgb"] = "inf"
    write_page(tmp_path / "index.html", summary, [], {}, higher_is_better=UP)
    assert "inf" in read(tmp_path / "index.html").text


def test_text_table(summary):
    lines = text_table(summary).splitlines()
    assert lines[0].split() == ["psnr_rgb", "lpips_alex"]
    assert lines[1].split() == ["ultrabm", "21.5000", "n/a"]
    assert lines[-1] == "lpips_alex is not available: alexnet.ckpt is missing"


def test_a_comparison_without_a_run_has_a_title_of_its_own_and_no_curves(tmp_path, summary):
    path = tmp_path / "index.html"
    write_page(path, summary, [entry()], {}, higher_is_better=UP)
    assert "Training" in path.read_text()
    assert "<title>ultrabm x2 on &lt;lol&gt;</title>" in path.read_text()
    write_page(path, summary | {"step": None}, [entry()], {}, higher_is_better=UP)
    assert "Training" not in path.read_text()
    assert "<title>3 methods x2 on &lt;lol&gt;</title>" in path.read_text()
