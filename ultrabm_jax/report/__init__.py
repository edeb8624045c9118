"""The page of an evaluation: tables, pictures, curves, in one HTML file that needs nothing else."""

from ultrabm_jax.report.page import Row, write_page
from ultrabm_jax.report.text import text_table

__all__ = ["Row", "text_table", "write_page"]
