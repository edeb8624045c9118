"""Scores of other programs, from CSV files."""

from __future__ import annotations

import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.foreign import add_foreign, read_foreign
from ultrabm_jax.evaluation.image_result import ImageResult
from ultrabm_jax.evaluation.statistics import summarise

METHODS = ["net", "bicubic"]


@pytest.fixture
def field(tmp_path):
    def write(text, direction="lower"):
        (tmp_path / "ma.csv").write_text(text)
        return f"ma:{direction}:{tmp_path / 'ma.csv'}"

    return write


def results():
    return [ImageResult(i, f"night/{i}", None, {m: {"rmse": 0.5} for m in METHODS}) for i in range(2)]


def test_scores_of_the_network_and_of_named_methods_are_added_and_missing_ones_reported(field):
    rows = "image,method,score\nnight/0,net,4\nnight/1,net,5\nnight/0,bicubic,7.5\nnight/9,net,1\n"
    foreign = read_foreign([field(rows, "higher")], METHODS)
    assert (foreign[0].protocol, foreign[0].higher_is_better) == ("ma_foreign", True)
    before = results()
    statistics = summarise(add_foreign(before, foreign), ["rmse", "ma_foreign"])
    assert statistics["mean"] == {"rmse": 0.5, "ma_foreign": 4.5}
    assert statistics["baselines"] == {"bicubic": {"rmse": 0.5, "ma_foreign": 7.5}}
    assert statistics["counts"]["bicubic"] == {"rmse": 2, "ma_foreign": 1}
    assert list(statistics["problems"]) == ["night/1"]
    assert before == results()


def test_without_a_method_column_the_scores_are_of_the_network(field):
    added = add_foreign(results(), read_foreign([field("image,score\nnight/0,4\nnight/1,5\n")], METHODS))
    assert [result.scores["net"]["ma_foreign"] for result in added] == [4, 5]
    assert [result.scores["bicubic"]["ma_foreign"] for result in added] == [None, None]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("name,score\na,1\n", "needs a header with the columns image and score"),
        ("image,score\n", "and at least one row"),
        ("image,score\na,nan\n", r"ma\.csv:2: the score 'nan' is no finite number"),
        ("image,score\na,1\na,2\n", r"ma\.csv:3: a has a second score of net"),
        ("image,method,score\na,hat,1\n", "unknown method 'hat'; known: net, bicubic"),
    ],
)
def test_wrong_files_are_one_line(field, rows, message):
    with pytest.raises(UserError, match=message):
        read_foreign([field(rows)], METHODS)


def test_wrong_fields_are_one_line(field, tmp_path):
    for wrong in ("ma.csv", "ma:best:ma.csv", ":lower:ma.csv", "ma:lower:"):
        with pytest.raises(UserError, match=r"takes NAME:higher:FILE\.csv or NAME:lower:FILE\.csv, not "):
            read_foreign([wrong], METHODS)
    with pytest.raises(UserError, match="cannot be read as CSV"):
        read_foreign([f"ma:lower:{tmp_path / 'none.csv'}"], METHODS)
    good = field("image,score\na,1\n")
    with pytest.raises(UserError, match="names ma_foreign more than once"):
        read_foreign([good, good], METHODS)
