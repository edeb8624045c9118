"""A value that is clipped inward can come back into the range, and does not go further outside."""

import jax
import numpy as np
import pytest

from ultrabm_jax.layers.clip_inward import clip_inward


@pytest.mark.parametrize(("lower", "upper"), [(0.0, 1.0), (-2.0, 3.0)])
@pytest.mark.parametrize(
    ("place", "sign", "slope"),
    [("above", -1, 0), ("above", 1, 1), ("below", 1, 0), ("below", -1, -1), ("inside", 1, 1), ("inside", -1, -1)],
)
def test_gradient_is_zero_only_where_descent_would_leave_the_range(lower, upper, place, sign, slope):
    x = {"above": upper + 0.5, "below": lower - 0.5, "inside": (lower + upper) / 2}[place]
    value, gradient = jax.value_and_grad(lambda x: sign * clip_inward(x, lower, upper))(x)
    assert (float(value), float(gradient)) == (sign * np.clip(x, lower, upper), slope)
