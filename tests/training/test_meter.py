import jax.numpy as jnp
import pytest

from ultrabm_jax.training.meter import Meter, NonFiniteError


def metrics(value, **more):
    return {"loss/total": jnp.float32(value), **{name: jnp.float32(x) for name, x in more.items()}}


def test_averages_since_the_last_call():
    meter = Meter(lag=2)
    for step, value in enumerate([1.0, 2.0, 6.0], start=1):
        meter.add(step, metrics(value, other=step))
    assert meter.averages() == pytest.approx({"loss/total": 3.0, "other": 2.0})
    meter.add(4, metrics(10.0))
    assert meter.averages() == {"loss/total": 10.0}


def test_nonfinite_step_is_reported_lag_steps_later_with_its_own_number():
    meter = Meter(lag=2)
    meter.add(1, metrics(1.0))
    meter.add(2, metrics(float("nan"), **{"loss/sl": float("inf"), "loss/r": 1.0}))
    meter.add(3, metrics(1.0))
    with pytest.raises(NonFiniteError, match=r"^step 2: not finite: loss/sl = inf; "):
        meter.add(4, metrics(1.0))


@pytest.mark.parametrize("read", [Meter.flush, Meter.averages])
def test_flush_reports_a_queued_nonfinite_step(read):
    meter = Meter(lag=100)
    meter.add(7, metrics(1.0, grad_norm=float("nan")))
    with pytest.raises(NonFiniteError, match="step 7: not finite: grad_norm = nan"):
        read(meter)


def test_total_that_overflows_alone_is_named():
    meter = Meter(lag=0)
    with pytest.raises(NonFiniteError, match="loss/total = inf"):
        meter.add(1, metrics(float("inf"), **{"loss/r": 1.0}))


def test_optional_metric_is_averaged_over_the_steps_that_have_it():
    meter = Meter(lag=0)
    for step, had in enumerate([1, 0, 1], start=1):
        kl = jnp.array([2.0 * step if had else float("nan"), had])
        meter.add(step, metrics(1.0) | {"kl": kl})
    assert meter.averages() == {"loss/total": 1.0, "kl": 4.0}
    meter.add(4, metrics(1.0) | {"kl": jnp.zeros(2)})
    assert meter.averages() == {"loss/total": 1.0}
    meter.add(4, metrics(1.0))
    assert meter.averages() == {"loss/total": 1.0}
    with pytest.raises(NonFiniteError, match="kl = nan"):
        meter.add(5, metrics(1.0) | {"kl": jnp.array([float("nan"), 1.0])})


def test_nonfinite_steps_are_logged_and_excluded_from_the_averages(logged):
    meter = Meter(lag=0, max_nonfinite=3)
    for step, value in enumerate([1.0, float("nan"), float("inf"), 3.0, float("nan"), float("nan")], start=1):
        meter.add(step, metrics(value, **{"loss/r": value}))
    assert logged[0] == "warning: step 2: not finite: loss/r = nan; the step is skipped"
    assert [line.split(":")[1] for line in logged] == [" step 2", " step 3", " step 5", " step 6"]
    assert meter.averages() == {"loss/total": 2.0, "loss/r": 2.0}
    with pytest.raises(NonFiniteError, match=r"^step 7: not finite: loss/r = inf, the last of 3 steps in a row; tr"):
        meter.add(7, metrics(float("inf"), **{"loss/r": float("inf")}))


def test_the_total_is_named_where_only_it_and_the_gradient_are_not_finite(logged):
    meter = Meter(lag=0, max_nonfinite=3)
    meter.add(1, metrics(float("nan"), **{"loss/r": 1.0, "grad_norm": float("nan")}))
    assert logged == ["warning: step 1: not finite: grad_norm = nan, loss/total = nan; the step is skipped"]


def test_averages_of_nonfinite_steps_are_empty():
    meter = Meter(lag=0, max_nonfinite=3)
    meter.add(1, metrics(float("nan")))
    assert meter.averages() == {}


def test_nonfinite_required_step_ends_the_run():
    meter = Meter(lag=0, max_nonfinite=3, required=(1,))
    with pytest.raises(NonFiniteError, match=r"^step 1: not finite: loss/total = nan; training stopped"):
        meter.add(1, metrics(float("nan")))
