"""The better direction of a protocol in the report's tables."""

from __future__ import annotations

import re

import pytest

from ultrabm_jax.report.html_tables import arrow, methods_table

MEANS = {"pale": {"p": 0.5}, "close": {"p": 1.1}, "strong": {"p": 1.6}}


CASES = [(True, "1.6000", "↑"), (False, "0.5000", "↓"), (None, "1.1000", "→ 1")]


@pytest.mark.parametrize(("higher", "best", "sign"), CASES)
def test_best_value_of_a_column(higher, best, sign):
    table = methods_table(MEANS, {"p": higher}, model="close")
    assert re.findall(r'<td class="best"[^>]*>([\d.]+)', table) == [best]
    assert arrow(higher) == sign
    assert f"p {sign}" in table
