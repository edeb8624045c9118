"""Small models to export."""

from __future__ import annotations

import jax
import pytest

from ultrabm_jax.export.source import Source
from ultrabm_jax.models import create_task

OPTIONS = {
    "sci": {},
    "zero_dce": {"scale": 1},
    "red": {},
    "lw_drgn": {"width": 8, "groups": 1, "depth": 1},
    "lw_drgn input_maps": {"width": 8, "groups": 1, "depth": 1, "input_maps": True},
    "ultrabm": {"width": 8, "scale": 2, "semantic": "none"},
    "lolisrflow": {"width": 8, "scale": 2, "hidden": 8, "steps": 1, "stages": 1, "blocks": 1},
}


def make_source(name: str) -> Source:
    task = create_task(name.split()[0], **OPTIONS[name])
    variables = jax.jit(task.model.init)(jax.random.key(0), task.example_input())
    variables = {kind: value for kind, value in variables.items() if kind != "statistics"}
    return Source(f"tiny_{name.replace(' ', '_')}", task, variables, "", "a test")


@pytest.fixture(scope="module")
def source(request):
    """A small network of the parameter's name with random weights."""
    return make_source(request.param)
