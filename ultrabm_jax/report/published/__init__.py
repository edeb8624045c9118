"""The papers' tables as data: values as printed, what is known of their protocols, and the matching methods here."""

from __future__ import annotations

from ultrabm_jax.report.published import drgn, others, red, ultrabm
from ultrabm_jax.report.published.table import Condition, Quantity, Table

__all__ = ["TABLES", "Condition", "Quantity", "Table"]

TABLES: dict[str, Table] = {**ultrabm.TABLES, **others.TABLES, **red.TABLES, **drgn.TABLES}
