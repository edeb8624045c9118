"""The browser of the tests of report pages, and evaluations for the tests of the papers' tables."""

import json

import pytest
from headless_browser import browser
from report.paper_tables import summary

__all__ = ["browser"]


@pytest.fixture
def write(tmp_path):
    """`write("run", **changes)`: an evaluation in tmp_path/run/eval; returns the folder of the run."""

    def make(name, **changes):
        folder = tmp_path / name / "eval"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps(summary(**changes)))
        return str(tmp_path / name)

    return make
