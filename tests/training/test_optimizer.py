import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ultrabm_jax.config import default_config as get_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.optim.optimizer import apply_update, make_gradient_transform, make_optimizer, make_schedule

GRADS = [np.array([0.3, -0.4, 0.0], np.float32), np.array([-1.0, 2.0, 0.5], np.float32)]
START = np.array([1.0, -2.0, 3.0], np.float32)


def train(**changes):
    config = get_config().train
    config.update({"steps": 10, "learning_rate": 0.1, "cycles": ((1, 0.01),), "grad_clip": 0.0} | changes)
    return config


def run(config, grads=GRADS):
    optimizer = make_optimizer(config)
    params = jnp.array(START)
    state = optimizer.init(params)
    for grad in grads:
        updates, state = optimizer.update(jnp.array(grad), state, params)
        params = optax.apply_updates(params, updates)
    return np.asarray(params)


def adamw(config, grads, decay):
    """Loshchilov and Hutter 2019, algorithm 2, with the weight decay scaled by the rate."""
    b1, b2 = config.betas
    params, m, v = START.astype(np.float64), 0.0, 0.0
    for t, grad in enumerate(grads, start=1):
        if config.grad_clip:
            grad = grad * min(1.0, config.grad_clip / np.linalg.norm(grad))
        rate = float(make_schedule(config)(t - 1))
        m, v = b1 * m + (1 - b1) * grad, b2 * v + (1 - b2) * grad**2
        step = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
        params = params - rate * (step + decay * params)
    return params


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_adamw_equals_its_formula(clip):
    config = train(weight_decay=0.1, grad_clip=clip)
    np.testing.assert_allclose(run(config), adamw(config, GRADS, 0.1), rtol=1e-5)


def test_adam_does_not_decay():
    config = train(optimizer="adam", weight_decay=0.1)
    np.testing.assert_allclose(run(config), adamw(config, GRADS, 0.0), rtol=1e-5)


def test_adam_l2_adds_the_decay_to_the_gradient():
    """As torch.optim.Adam with weight_decay."""
    config = train(optimizer="adam_l2", weight_decay=0.1, grad_clip=0.0)
    b1, b2 = config.betas
    params, m, v = START.astype(np.float64), 0.0, 0.0
    for t, grad in enumerate(GRADS, start=1):
        grad = grad + 0.1 * params
        m, v = b1 * m + (1 - b1) * grad, b2 * v + (1 - b2) * grad**2
        params = params - float(make_schedule(config)(t - 1)) * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
    np.testing.assert_allclose(run(config), params, rtol=1e-5)


def test_clipping_uses_the_global_norm():
    optimizer = make_optimizer(train(grad_clip=1.0, weight_decay=0.0))
    params = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    _, state = optimizer.update({"a": jnp.array([3.0]), "b": jnp.array([4.0])}, optimizer.init(params), params)
    moments = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state) if ".mu" in jax.tree_util.keystr(path)]
    np.testing.assert_allclose(np.concatenate(moments), [0.06, 0.08], rtol=1e-5)  # (1 - b1) g / 5


def test_the_learning_rate_follows_the_schedule():
    config = train(weight_decay=0.0, steps=2, cycles=((1, 0.5), (1, 0.01)), optimizer="adam")
    first = run(config, GRADS[:1])
    np.testing.assert_allclose(first[:2], START[:2] - 0.1 * np.sign(GRADS[0][:2]), rtol=1e-5)


def test_an_unknown_optimizer_lists_the_known_ones():
    with pytest.raises(UserError, match=r"unknown train.optimizer 'sgd'; known: adam, adam_l2, adamw"):
        make_optimizer(train(optimizer="sgd"))


@pytest.mark.parametrize("optimizer", ["adam", "adam_l2", "adamw"])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_gradient_transform_times_scheduled_rate_equals_the_optimizer(optimizer, clip):
    config = train(optimizer=optimizer, grad_clip=clip, weight_decay=0.1)
    direction, schedule = make_gradient_transform(config), make_schedule(config)
    params = jnp.array(START)
    state = direction.init(params)
    for step, grad in enumerate(GRADS):
        params, state = apply_update(direction, jnp.array(grad), state, params, rate=schedule(step))
    np.testing.assert_allclose(params, run(config), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.0}, r"train\.learning_rate=0\.0: must be above 0"),
        ({"learning_rate": -1e-4}, r"train\.learning_rate=-0\.0001: must be above 0"),
        ({"learning_rate": float("nan")}, r"train\.learning_rate=nan: must be above 0"),
        ({"warmup": -5}, r"train\.warmup=-5: must not be below 0"),  # the rate would be negative
        ({"cycles": ()}, r"train\.cycles is empty"),
        ({"cycles": ((0, 1e-3),)}, r"train\.cycles: \(0, 0\.001\) is not \(share above 0"),
        ({"cycles": ((1, -1e-3),)}, r"train\.cycles: \(1, -0\.001\) is not"),
        ({"cycles": ((1, 0.0, 1e-3),)}, r"train\.cycles: \(1, 0\.0, 0\.001\) is not"),
    ],
)
def test_schedules_without_a_meaning_are_one_line(changes, message):
    with pytest.raises(UserError, match=message):
        make_schedule(train(**changes))


def test_a_cycle_may_end_at_zero():
    schedule = make_schedule(train(steps=10, learning_rate=0.1, cycles=((1, 0.0),)))
    assert float(schedule(0)) == pytest.approx(0.1)
    assert float(schedule(10)) == 0


def test_gradient_transform_of_an_unknown_optimizer_lists_the_known_ones():
    with pytest.raises(UserError, match=r"unknown train.optimizer 'sgd'; known: adam, adam_l2, adamw"):
        make_gradient_transform(train(optimizer="sgd"))
