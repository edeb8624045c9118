"""A loss spike is warned of once."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.training.meter import Meter
from ultrabm_jax.training.spikes import MIN_STEPS, QUIET_STEPS, SpikeDetector


def spikes(losses):
    detector = SpikeDetector()
    found = {step: detector.check(step, loss) for step, loss in enumerate(losses, start=1)}
    return {step: line for step, line in found.items() if line is not None}


def test_a_spike_is_described_with_step_value_and_median():
    (line,) = spikes([2.8] * 14 + [1_257_789.0]).values()
    assert line.startswith("step 15: the loss spikes to 1.258e+06; its median over the last 14 steps is 2.8 (")
    assert "\n" not in line


@pytest.mark.parametrize(
    "losses",
    [
        3 * np.exp(-np.arange(200) / 40),  # a falling loss
        1 + np.random.default_rng(0).exponential(0.8, 500),  # a noisy one
        -2 + np.random.default_rng(1).normal(0, 0.5, 500),  # a likelihood
        [1.0] * (MIN_STEPS - 1) + [1e6],  # too early to know
    ],
)
def test_ordinary_losses_are_no_spikes(losses):
    assert not spikes(losses)


def test_a_negative_loss_can_spike():
    assert list(spikes([-2.0] * 20 + [40.0])) == [21]


def test_reports_are_limited():
    losses = [1.0] * 400
    for step in (50, 52, 60, 50 + QUIET_STEPS + 5):
        losses[step - 1] = 1e4
    assert list(spikes(losses)) == [50, 50 + QUIET_STEPS + 5]


def test_the_meter_warns_of_spikes_within_one_phase(logged):
    meter = Meter(lag=2)
    for step in range(1, 21):
        meter.add(step, {"loss/total": jnp.float32(500.0 if step == 15 else 2.0), "loss/r": jnp.float32(1)})
    for step in range(21, 41):  # the second phase has another loss
        meter.add(step, {"loss/total": jnp.float32(900.0), "loss/ssim": jnp.float32(1)})
    meter.flush()
    warnings = [line for line in logged if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: step 15: the loss spikes to 500;")
