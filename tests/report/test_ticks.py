import pytest

from ultrabm_jax.report.line_charts import line_chart
from ultrabm_jax.report.ticks import labelled, linear_ticks, log_ticks


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (21.05, 21.15, ["21.06", "21.08", "21.1", "21.12", "21.14"]),  # not 21.1 four times
        (20, 21.2, ["20", "20.25", "20.5", "20.75", "21"]),  # not 20.2 and 20.8
        (999.2, 1000.3, ["999.25", "999.5", "999.75", "1,000.00", "1,000.25"]),
        (-0.5, 0.5, ["-0.4", "-0.2", "0", "0.2", "0.4"]),
        (0, 3e6, ["0", "1,000,000", "2,000,000", "3,000,000"]),
    ],
)
def test_labels_of_a_linear_axis_state_their_values(low, high, labels):
    ticks = linear_ticks(low, high)
    assert [label for _, label in ticks] == labels
    assert all(low <= value <= high for value, _ in ticks)


@pytest.mark.parametrize("low", [3e-9, 0.21, 7.0, 999.0, 123456.0])
@pytest.mark.parametrize("ratio", [1.0001, 1.01, 2, 30, 1e6])
def test_a_logarithmic_axis_has_at_least_two_ticks_with_different_labels(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert len({label for _, label in ticks}) == len(ticks) >= 2
    for value, label in ticks:
        assert low * (1 - 1e-9) <= value <= low * ratio * (1 + 1e-9)
        assert float(label.replace(",", "")) == pytest.approx(value, rel=0.01)


def test_losses_within_a_factor_of_two_have_labels():
    chart = line_chart({"a": [(0, 0.24), (1, 0.47)]}, title="t", log=True)
    assert chart.count('class="grid"') >= 2


def test_a_single_tick_and_none():
    assert labelled([0.30000000000000004]) == [(0.30000000000000004, "0.3")]
    assert labelled([]) == []
