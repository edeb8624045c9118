import json
import xml.etree.ElementTree as ElementTree

import pytest

from ultrabm_jax.report.svg import POINTS, line_chart, read_log


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
def test_odd_data_give_a_sound_picture_or_none(values, log):
    chart = line_chart({"a & b": values}, title="<t>", log=log)
    if log and max(y for _, y in values) <= 0:
        assert chart == ""
    else:
        assert points(svg(chart))


def test_a_long_log_is_averaged():
    (line,) = points(svg(line_chart({"a": [(k, float(k)) for k in range(10_000)]}, title="t")))
    assert len(line) <= POINTS


def test_the_later_of_two_lines_of_a_step_counts_and_an_unfinished_line_is_left_out(tmp_path):
    lines = [{"step": 1, "loss/r": 9.0}, {"step": 2, "loss/r": 1.0}, {"step": 2, "loss/r": 0.5, "note": "x"}]
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 3, "lo')
    assert read_log(path) == {"loss/r": [(1, 9.0), (2, 0.5)]}
    assert read_log(tmp_path / "none.jsonl") == {}
