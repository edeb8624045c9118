"""The weights of the losses, config.loss.lambda_*: which values they take."""

import math

import pytest

from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.methods import METHODS, create_method
from ultrabm_jax.methods.base import check_weights

SIMILARITIES = {("drgn", "lambda_ssim"), ("drgn", "lambda_ssim_ref")}
SIMILARITIES |= {("lw_drgn", field) for _, field in SIMILARITIES}
FIELDS = [
    (name, field) for name in sorted(METHODS) for field in default_config(name).loss if field.startswith("lambda_")
]


def create(name, field, weight):
    config = default_config(name)
    config.loss[field] = weight
    return create_method(config)


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_each_weight_of_each_method_is_finite_and_of_its_sign(name, field):
    similarity = (name, field) in SIMILARITIES
    wrong = 0.5 if similarity else -0.5
    allowed = "0 or negative" if similarity else "0 or positive"
    for weight in (wrong, math.nan, math.inf, -math.inf):
        with pytest.raises(UserError, match=rf"^loss\.{field}={weight}: .* a finite number, {allowed}$"):
            create(name, field, weight)
    for weight in (-wrong, 0.0):
        assert create(name, field, weight).config.loss[field] == weight


def test_other_fields_of_the_loss_are_no_weights():
    check_weights({"epsilon": -1.0, "kl": "softmax", "lambda_r": 1})
