"""The names that config.data.dataset takes for folders and files; other names are those of records."""

from __future__ import annotations

from input_pipeline.files.layouts import LAYOUTS
from input_pipeline.raw_pairs.sid_lists import SID

DATASETS = (*LAYOUTS, *SID, "synthetic")
UNDIVIDED = ("paired", "synthetic")  # folders without splits of their own
