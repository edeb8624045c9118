"""SSIM and MS-SSIM losses: the value of the metric, the values and gradients of RED's release, extreme inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.pixel import l1
from ultrabm_jax.losses.structural import ms_ssim_loss, ssim_loss
from ultrabm_jax.metrics import compute

mean_loss = jax.jit(lambda a, b: ms_ssim_loss(a, b).mean())
value_and_grad = jax.jit(jax.value_and_grad(lambda a, b: ms_ssim_loss(a, b).mean()))


@pytest.fixture(scope="module")
def reference(parity):
    return parity("open/losses.npz")


def test_value_and_gradient_match_the_release(reference):
    loss, grad = value_and_grad(reference["ms_pred"], reference["ms_gt"])
    reference.check("ms_ssim", 1 - loss)
    reference.check("ms_ssim_grad_ms_pred", -grad)
    reference.check("red_total", l1(reference["ms_pred"], reference["ms_gt"]).mean() + 0.2 * loss)


def test_odd_sides_are_padded_as_in_the_release(reference):
    reference.check("ms_ssim_odd", 1 - mean_loss(reference["ms_odd_pred"], reference["ms_odd_gt"]))


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 1), (0, 1), (1, 0), ("noise", "noise"), ("noise", 0), ("noise", "-")])
def test_values_and_gradients_are_finite(a, b):
    noise = np.random.default_rng(0).uniform(0, 1, (1, 192, 176, 3)).astype(np.float32)  # compiled for the reference

    def image(what):
        return {"noise": noise, "-": 1 - noise}[what] if isinstance(what, str) else np.full_like(noise, what)

    loss, grad = value_and_grad(image(a), image(b))
    assert bool(jnp.isfinite(grad).all())
    assert -1e-6 <= float(loss) <= 1
    if a == b:
        assert float(loss) == pytest.approx(0, abs=1e-5)


def test_a_patch_too_small_for_five_scales_is_refused():
    with pytest.raises(UserError, match="at least 161 pixels"):
        ms_ssim_loss(jnp.ones((1, 160, 512, 3)), jnp.ones((1, 160, 512, 3)))


def test_ssim_loss_is_one_minus_the_metric_on_8_bit_images():
    noise = np.random.default_rng(0).uniform(0, 1, (1, 33, 34, 3)).astype(np.float32)
    a, b = (np.round(255 * x) / 255 for x in (noise, noise[:, :, ::-1]))
    np.testing.assert_allclose(1 - ssim_loss(jnp.asarray(a), jnp.asarray(b)), compute("ssim_rgb", a, b), atol=1e-5)
