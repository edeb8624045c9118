"""The Python of the README and of docs/restore.md runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ultrabm_jax.image import write_image

ROOT = Path(__file__).resolve().parents[2]


def examples(page):
    """The Python blocks of a page that load a model by name."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "load_pretrained" in block]


@pytest.mark.parametrize(("page", "count"), [("README.md", 1), ("docs/restore.md", 2)])
def test_examples_run(page, count, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("ULTRABM_ASSETS", str(shared / "assets"))
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "dark.jpg", np.full((24, 32, 3), 20, np.uint8))
    found = examples(page)
    assert len(found) == count
    for code in found:
        exec(compile(code, page, "exec"), {})
