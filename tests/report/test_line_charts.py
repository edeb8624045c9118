import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from ultrabm_jax.report.line_charts import POINTS, line_chart, line_legend, path
from ultrabm_jax.report.training_log import read_log


def svg(text):
    return ElementTree.fromstring(text).find("svg")


def points(chart):
    return [[tuple(map(float, p.split(","))) for p in line.get("points").split()] for line in chart.iter("polyline")]


def test_larger_values_are_higher_and_later_steps_are_further_right():
    (line,) = points(svg(line_chart({"a": [(0, 1.0), (10, 3.0), (20, 2.0)]}, title="t")))
    assert line[0][0] < line[1][0] < line[2][0]
    assert line[1][1] < line[2][1] < line[0][1]


def test_a_logarithmic_axis_is_even_in_ratios():
    (line,) = points(svg(line_chart({"a": [(0, 1.0), (1, 10.0), (2, 100.0)]}, title="t", log=True)))
    assert line[0][1] - line[1][1] == pytest.approx(line[1][1] - line[2][1], abs=0.11)


@pytest.mark.parametrize("values", [[(0, 0.0)], [(5, 2.0)], [(0, 1.0), (1, 1.0)], [(0, -3.0), (1, 2e6)], [(0, 1e-9)]])
@pytest.mark.parametrize("log", [False, True])
def test_unusual_data_give_an_intact_image_or_none(values, log):
    chart = line_chart({"a & b": values}, title="<t>", log=log)
    if log and max(y for _, y in values) <= 0:
        assert chart == ""
    else:
        assert points(svg(chart))


def test_a_long_log_is_averaged():
    (line,) = points(svg(line_chart({"a": [(k, float(k)) for k in range(10_000)]}, title="t")))
    assert len(line) <= POINTS


def test_later_line_of_a_repeated_step_counts_and_incomplete_lines_are_ignored(tmp_path):
    lines = [{"step": 1, "loss/r": 9.0}, {"step": 2, "loss/r": 1.0}, {"step": 2, "loss/r": 0.5, "note": "x"}]
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 3, "lo')
    assert read_log(path) == {"loss/r": [(1, 9.0), (2, 0.5)]}
    assert read_log(tmp_path / "none.jsonl") == {}


def test_damaged_lines_of_a_log_are_left_out_with_a_note(tmp_path, logged):
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'{"step": 1, "a": 2.0}\n{"step": 2, "a\n[3]\n{"a": 1}\n\xff\n{"step": 3, "a": 4.0}\n{"st')
    assert read_log(path) == {"a": [(1, 2.0), (3, 4.0)]}
    assert logged == [f"warning: {path}: line {n} is damaged and left out of the curves" for n in (2, 3, 4, 5)]


def corners(d):
    """Absolute points of a path M0 y l dx dy ..."""
    start, _, steps = d.partition("l")
    at = np.array([0, int(start.removeprefix("M0 "))])
    moves = np.array(steps.split(), int).reshape(-1, 2)
    return np.concatenate([at[None], at + moves.cumsum(0)])


def test_a_path_ends_where_its_values_end():
    values = np.random.default_rng(0).uniform(0, 1, 300)
    line = corners(path(values, low=0, high=1, size=(512, 160)))
    assert line[-1, 0] == 512
    np.testing.assert_allclose(line[:, 1], 160 * (1 - values), atol=0.5)  # rounding does not add up


def test_an_area_is_closed_along_the_lower_edge():
    assert path([0, 1, 0], low=0, high=1, size=(10, 4), area=True) == "M0 4V4l5 -4 5 4V4z"


def test_names_replace_numbers_below_the_axis():
    chart = svg(line_chart({"a": [(0, 1.0), (2, 3.0)]}, title="t", names=["-2.5", "-3.0", "x"]))
    labels = {text.text: float(text.get("x")) for text in chart.iter("text") if text.get("text-anchor") == "middle"}
    assert list(labels) == ["-2.5", "-3.0", "x"]
    ((first, _), (last, _)) = points(chart)[0]
    assert (first, last) == (labels["-2.5"], labels["x"])


def test_colours_follow_the_order_of_names():
    chart = svg(line_chart({"a": [], "b": [(0, 1.0)]}, title="t", legend=False))
    assert chart.find("polyline").get("class") == "line c1"
    assert '<i class="c1"></i>b' in line_legend(["a", "b"])
