"""The names that config.data.dataset takes for folders and files; other names are those of records."""

from __future__ import annotations

from input_pipeline.files.layouts import LAYOUTS
from input_pipeline.raw_pairs.eld import ELD
from input_pipeline.raw_pairs.sid_lists import SID

FOLDER = "folder"  # images without references, for eval.py
DATASETS = (*LAYOUTS, *SID, *ELD, "synthetic", FOLDER)
UNDIVIDED = ("paired", "synthetic")  # folders without splits of their own
