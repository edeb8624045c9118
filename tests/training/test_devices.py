"""The requested platform, and XLA's options to overlap communication."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.training import devices


def test_another_platform_than_the_one_asked_for_is_an_error():
    devices.check_platform("cpu")
    with pytest.raises(UserError, match="--platform=gpu, but JAX computes on cpu"):
        devices.check_platform("gpu")


def test_an_unused_accelerator_is_a_warning_unless_a_platform_was_chosen(tmp_path, monkeypatch, logged):
    assert devices.find_accelerator(tmp_path) == ""
    (tmp_path / "nvidia0").touch()
    assert devices.find_accelerator(tmp_path) == str(tmp_path / "nvidia0")
    monkeypatch.setattr(devices, "find_accelerator", lambda: "/dev/nvidia0")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    devices.check_platform("")
    monkeypatch.delenv("JAX_PLATFORMS")
    devices.check_platform("cpu")
    assert not logged
    devices.check_platform("")
    assert logged[0].startswith("warning: this machine has /dev/nvidia0, but JAX computes on the CPU")


def test_the_devices_are_described():
    assert " x cpu (cpu); jax " in devices.describe_devices()


@pytest.mark.parametrize("platform", devices.OVERLAP)
def test_options_are_added_and_logged_and_those_of_the_environment_win(platform, monkeypatch, logged):
    variable, options = devices.OVERLAP[platform]
    own = options[0].replace("=true", "=false")
    monkeypatch.setenv(variable, own)
    devices.set_overlap_options(platform)
    assert os.environ[variable].split() == [*options[1:], own]
    assert logged == [f"{variable}={os.environ[variable]}"]


def test_options_need_a_platform():
    for platform in ("", "cpu"):
        with pytest.raises(UserError, match="--overlap needs --platform=gpu or tpu"):
            devices.set_overlap_options(platform)


def test_xla_knows_the_options_for_gpus():
    """XLA ends the process at an unknown option; the CPU's compiler parses those of GPUs, too."""
    variable, options = devices.OVERLAP["gpu"]
    env = os.environ | {"JAX_PLATFORMS": "cpu", variable: " ".join(options)}
    subprocess.run([sys.executable, "-c", "import jax; jax.jit(lambda x: x + 1)(1)"], env=env, check=True)
