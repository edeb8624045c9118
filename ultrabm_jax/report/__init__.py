"""The page of an evaluation: tables, images, curves, in one HTML file that needs nothing else."""

from ultrabm_jax.report.page import write_page
from ultrabm_jax.report.row import Row, make_row
from ultrabm_jax.report.text import text_table

__all__ = ["Row", "make_row", "text_table", "write_page"]
