"""A run on a mixture of data sets resumes exactly and is scored on each member."""

from __future__ import annotations

import shutil

import pytest
from run_files import equal, log
from tiny import tiny_config

from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.resume import changed_fields

pytestmark = pytest.mark.usefixtures("no_tensorboard")


@pytest.mark.parametrize("loader", ["threads", "in_memory"])
def test_a_mixture_resumes_exactly_and_is_scored_on_each_member(pairs, tmp_path, loader):
    mixture = (
        (f"paired:{pairs}", 0.6, {"name": "pairs", "eval_root": str(pairs)}),
        (f"synthetic:{pairs / 'high'}", 0.4, {"name": "photos", "eval_root": str(pairs / "high")}),
    )
    config = tiny_config(data__mixture=mixture, data__loader=loader, checkpoint__keep=9)
    config.data.update({"dataset": "lol", "records": "/none", "holdout": (0.1, 0.0)})  # not those of a member
    state = train_and_evaluate(config, tmp_path / "whole")
    scores = [line for line in log(tmp_path / "whole") if "eval/psnr_rgb" in line]
    assert [line["step"] for line in scores] == [4, 8]
    for line in scores:
        members = [line["eval/psnr_rgb/pairs"], line["eval/psnr_rgb/photos"]]
        assert line["eval/psnr_rgb"] == pytest.approx(sum(members) / 2)  # five images each
        assert members[0] != members[1]

    shutil.copytree(tmp_path / "whole", tmp_path / "resumed")
    for step in (6, 8):
        shutil.rmtree(tmp_path / "resumed" / "checkpoints" / str(step))
    resumed = train_and_evaluate(config, tmp_path / "resumed")
    assert int(resumed.step) == 8
    assert equal(resumed, state)


def test_a_changed_mixture_is_one_changed_field():
    member = ("paired:/own", 0.5, {"holdout": (0.1, 0.1), "name": "own"})
    earlier, config = tiny_config(data__mixture=(member,)), tiny_config(data__mixture=(member,))
    assert changed_fields(earlier, config) == {}
    config.data.mixture = ((*member[:2], {"holdout": (0.2, 0.1), "name": "own"}),)
    ((field, (before, now)),) = changed_fields(earlier, config).items()
    assert field == "data.mixture"
    assert before == (("paired:/own", 0.5, {"holdout": (0.1, 0.1), "name": "own"}),)
    assert now[0][2]["holdout"] == (0.2, 0.1)
