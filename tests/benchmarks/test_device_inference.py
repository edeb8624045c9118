"""The accelerator script's inference passes on what the benchmarks of one network read."""

import pytest

from benchmarks import drgn_speed, red_speed, ultrabm_speed
from benchmarks.common import side_by_side
from benchmarks.device import inference


@pytest.mark.parametrize("network", ["red", "drgn", "ultrabm"])
def test_each_network_is_measured(network, monkeypatch):
    """With candidates that compute nothing."""

    class Candidate:
        compile_seconds = 0.5

        def __call__(self):
            return [0.0]

        def blocks(self):
            return {}

        def output(self):
            return [0.0]

    make = lambda *args, **options: Candidate()  # noqa: E731
    for module, names in {
        red_speed: ("Ours", "Peer"),
        drgn_speed: ("make_ours", "make_peer"),
        ultrabm_speed: ("make_ours", "make_peer"),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, make)
        monkeypatch.setattr(module, "HAS_TORCH", False)
    rounds = []
    timed = side_by_side.timed
    monkeypatch.setattr(
        side_by_side, "timed", lambda candidates, n, **options: rounds.append(n) or timed(candidates, n, **options)
    )
    rows = inference.measure(network, "64x64", "float32")
    assert all(row["size"] == "64x64" and row["seconds"] for row in rows)
    assert set(rounds) == {inference.ROUNDS}
