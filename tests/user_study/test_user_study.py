"""The page does not tell the methods, every rater sees all images in an order of their own, and means are of raters."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_rgb_uint8, write_image
from ultrabm_jax.user_study.__main__ import main
from ultrabm_jax.user_study.answers import read_opinions

METHODS = ("input", "drgn", "kind")
IMAGES = ("street", "house")
CRITERIA = ["content naturalness", "colour deviation"]


@pytest.fixture
def study(tmp_path):
    """A study of two methods on two images."""
    for k, method in enumerate(METHODS):
        for j, name in enumerate(IMAGES):
            pixels = np.full((24, 32, 3), 10 * k + j, np.uint8)
            write_image(tmp_path / method / f"{name}.png", pixels / np.float32(255))
    folders = [f"{method}={tmp_path / method}" for method in METHODS]
    assert main(["page", *folders, "--output", str(tmp_path / "study")]) == 0
    return tmp_path / "study"


def key(study):
    return json.loads((study / "key.json").read_text())


def answer(study, rater, score, /, **changes):
    """Writes the answers of one rater: `score(method, image)` -> a number for each criterion."""
    content = key(study)
    answers = {code: list(score(item["method"], item["image"])) for code, item in content["items"].items()}
    file = study / f"{rater}.json"
    base = {"study": content["study"], "rater": rater, "criteria": content["criteria"], "answers": answers}
    file.write_text(json.dumps(base | changes))
    return file


def test_the_page_has_all_images_and_no_method(study):
    page = (study / "index.html").read_text()
    codes = re.findall(r"[0-9a-f]{10}", page)
    assert {p.stem for p in (study / "images").iterdir()} <= set(codes)
    assert not any(name in page for name in ("drgn", "kind", "street", "house"))
    items = key(study)["items"]
    assert {(item["image"], item["method"]) for item in items.values()} == {
        (name, method) for name in IMAGES for method in METHODS[1:]
    }
    for code, item in items.items():
        expected = 10 * METHODS.index(item["method"]) + IMAGES.index(item["image"])
        np.testing.assert_array_equal(read_rgb_uint8(study / "images" / f"{code}.png"), expected)


def test_the_seed_changes_the_codes(study, tmp_path):
    folders = [f"{method}={tmp_path / method}" for method in METHODS]
    codes = {}
    for name, seed in (("again", "0"), ("other", "1")):
        main(["page", *folders, "--seed", seed, "--output", str(tmp_path / name)])
        codes[name] = set(key(tmp_path / name)["items"])
    assert codes["again"] == set(key(study)["items"])
    assert not codes["again"] & codes["other"]


def test_scores_are_means_over_images_then_over_raters(study):
    files = [
        answer(study, "strict", lambda m, i: (2 + (m == "drgn"), 1 + (i == "house"))),
        answer(study, "kind_one", lambda m, i: (4 + (m == "drgn"), 4)),
    ]
    found = read_opinions(study / "key.json", files)
    assert found.answers == 8
    assert found.mean(CRITERIA[0], "drgn") == 4
    assert found.mean(CRITERIA[0], "kind") == 3
    assert found.mean(CRITERIA[1], "drgn") == pytest.approx((1.5 + 4) / 2)
    low, high = found.interval(CRITERIA[0], "drgn")
    assert (low, high) == (3, 5)
    difference = found.difference(CRITERIA[0], "drgn", "kind")
    assert (difference.mean, difference.ci95) == (1, [1, 1])  # paired: the raters agree


def test_a_rater_may_skip_a_method(study):
    file = answer(study, "short", lambda m, i: (3, 3))
    content = json.loads(file.read_text())
    content["answers"] = {c: v for c, v in content["answers"].items() if key(study)["items"][c]["method"] == "kind"}
    file.write_text(json.dumps(content))
    found = read_opinions(study / "key.json", [file])
    assert math.isnan(found.mean(CRITERIA[0], "drgn"))
    assert found.mean(CRITERIA[0], "kind") == 3
    assert found.interval(CRITERIA[0], "kind") is None


def test_the_summary_is_printed_and_written_as_a_table(study, tmp_path, capsys):
    files = [str(answer(study, f"r{k}", lambda m, i, k=k: (3 + (m == "drgn"), 2 + k))) for k in range(2)]
    table = tmp_path / "opinions.md"
    assert main(["summarise", str(study / "key.json"), *files, "--table", str(table)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"drgn minus kind +\+1\.000 \[1\.000, 1\.000\]", printed)
    assert "2 raters, 8 answers" in printed
    assert re.search(r"drgn \| \*\*4\.0000\*\*", table.read_text())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study": "another"}, "answers to another study"),
        ({"answers": {"0123456789": [3, 3]}}, "the image 0123456789, which the study does not have"),
        ({"rater": "first"}, "are both answers of first"),
    ],
)
def test_wrong_answers_are_refused(study, changes, message):
    files = [answer(study, "first", lambda m, i: (3, 3)), answer(study, "wrong", lambda m, i: (3, 3), **changes)]
    with pytest.raises(UserError, match=message):
        read_opinions(study / "key.json", files)


@pytest.mark.parametrize("score", [(3,), (0.5, 3), (6, 3), ("3", 3), (None, 3)])
def test_scores_outside_the_scale_are_refused(study, score):
    file = answer(study, "r", lambda m, i: score)
    with pytest.raises(UserError, match="are not 2 scores from 1 to 5"):
        read_opinions(study / "key.json", [file])


def test_a_study_needs_two_methods_with_the_same_images(tmp_path, study):
    with pytest.raises(UserError, match="at least two methods besides input"):
        main(["page", f"input={tmp_path / 'input'}", f"a={tmp_path / 'kind'}", "--output", str(tmp_path / "o")])
    (tmp_path / "kind" / "house.png").unlink()
    folders = [f"{method}={tmp_path / method}" for method in METHODS]
    with pytest.raises(UserError, match="the folders have different images; --images chooses some"):
        main(["page", *folders, "--output", str(tmp_path / "o")])
    assert main(["page", *folders, "--images", "street", "--output", str(tmp_path / "o")]) == 0


def rate(browser, study, rater):
    """Rates all images 4 and 2.5 in the browser; returns the order of the images and the content of the file."""
    browser.open(study / "index.html", width=700)
    browser.js("localStorage.clear()")
    browser.js(f"element('rater').value = {rater!r}; element('start').requestSubmit()")
    for _ in range(4):
        browser.js("document.querySelector('input[name=criterion0][value=\"4\"]').checked = true")
        browser.js("document.querySelector('input[name=criterion1][value=\"2.5\"]').checked = true")
        browser.js("element('form').requestSubmit()")
    assert browser.js("element('end').hidden") is False
    assert not browser.complaints
    return json.loads(browser.js("JSON.stringify({order: order.map((i) => i.code), answers})"))


def test_raters_see_all_images_in_their_own_order(study, browser):
    first, again, other = (rate(browser, study, rater) for rater in ("anna", "anna", "bert"))
    assert first == again
    assert set(first["order"]) == set(other["order"]) == set(key(study)["items"])
    assert set(map(tuple, first["answers"].values())) == {(4, 2.5)}
    orders = {tuple(rate(browser, study, f"rater {k}")["order"]) for k in range(4)}
    assert len(orders) > 1


def test_a_choice_is_required_for_each_criterion(study, browser):
    browser.open(study / "index.html", width=700)
    browser.js("localStorage.clear(); element('rater').value = 'c'; element('start').requestSubmit()")
    browser.js("document.querySelector('input[name=criterion0][value=\"4\"]').checked = true")
    browser.js("element('form').requestSubmit()")
    assert browser.js("place") == 0
