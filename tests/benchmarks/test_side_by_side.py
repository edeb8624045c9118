"""Tables of the benchmarks that compare a network with PyTorch."""

from __future__ import annotations

from benchmarks.common import side_by_side
from benchmarks.common.side_by_side import Row


def row(**more) -> Row:
    return Row(
        model="small_x2",
        size="8x8",
        dtype="float32",
        compile_seconds=1.0,
        seconds={"ours": 0.02, "torch": 0.03},
        **more,
    )


def test_summarise_has_the_median_and_the_extremes():
    middle, extremes = side_by_side.summarise({"ours": [3.0, 1.0, 2.0, 9.0, 2.5]})
    assert middle == {"ours": 2.5}
    assert extremes == {"ours": (1.0, 9.0)}


def test_candidates_take_turns_and_the_warm_up_does_not_count():
    calls: list[str] = []
    times = side_by_side.timed({name: lambda name=name: calls.append(name) for name in "ab"}, 3, warm_up=1)
    assert calls == ["a", "b"] * 4
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_the_first_of_several_calls_in_a_row_does_not_count(monkeypatch):
    clock, durations = [0.0], iter([9.0, 1.0, 2.0] * 2)  # seconds of the calls

    def candidate():
        clock[0] += next(durations)

    monkeypatch.setattr(side_by_side.time, "perf_counter", lambda: clock[0])
    assert side_by_side.timed({"a": candidate}, 1, calls=3, warm_up=1) == {"a": [1.5]}


def test_the_table_shows_the_fastest_and_the_slowest_round():
    extremes = {"ours": (0.0191, 0.0251), "torch": (0.029, 0.04)}
    lines = side_by_side.network_table([row(extremes=extremes, peak={"ours": 2**29})])
    assert lines[2:] == [
        "| small_x2 | 8x8 | float32 | ours | 20.0 (19.1 to 25.1) | 1.50 | 0.50 |",
        "| small_x2 | 8x8 | float32 | torch | 30.0 (29.0 to 40.0) | 1.00 |  |",
    ]


def test_a_row_without_extremes_has_the_median_alone():
    assert [cells[1] for cells in side_by_side.candidate_cells(row())] == ["20.0", "30.0"]
