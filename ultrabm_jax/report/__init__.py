"""The HTML report of an evaluation: tables, charts and images in one file that needs no other."""

from ultrabm_jax.report.entry import ImageEntry, make_entry
from ultrabm_jax.report.page import write_page
from ultrabm_jax.report.text import text_table

__all__ = ["ImageEntry", "make_entry", "text_table", "write_page"]
