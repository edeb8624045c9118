"""docs/quickstart.ipynb runs, with and without Jupyter, and its commands parse."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from ultrabm_jax.config_flags import read_config
from ultrabm_jax.inference.restorer import Restorer

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]


def sources(kind):
    return ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == kind]


def test_the_notebook_is_stored_without_outputs():
    code = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert len(code) >= 7
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_cells_run_and_the_model_beats_the_formulas(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for number, code in enumerate(sources("code")):
        exec(compile(code, f"{NOTEBOOK.name}, code cell {number}", "exec"), names)
    assert isinstance(names["restore"], Restorer)
    assert names["bright"].shape == names["reference"].shape == names["dark"].shape
    assert (names["batch"] == names["bright"]).all()
    psnr = {method: values[0] for method, values in names["scores"].items()}
    assert psnr["lw_drgn_photo"] > max(psnr["input"], psnr["gamma"], psnr["clahe"]) + 3
    printed = capsys.readouterr().out
    assert "night_restored.png" in printed
    assert re.search(r"lw_drgn_photo .*\(default for photos\)", printed)
    assert list(tmp_path.iterdir()) == []  # files are written into a temporary folder


def test_the_notebook_runs_in_jupyter(tmp_path, monkeypatch):
    reason = 'no Jupyter kernel: pip install ".[docs]"'
    nbclient, nbformat = (pytest.importorskip(name, reason=reason) for name in ("nbclient", "nbformat"))
    pytest.importorskip("ipykernel", reason=reason)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    nbclient.NotebookClient(book, timeout=550, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2  # dark; dark, restored, reference


def test_each_command_parses(monkeypatch):
    monkeypatch.chdir(ROOT)
    text = "\n".join(sources("markdown")).replace("\\\n", " ")
    commands = [shlex.split(line) for line in re.findall(r"^    python (.*)$", text, re.MULTILINE)]
    assert [command[0] for command in commands] == ["-m", "train.py", "eval.py"]
    (train,) = (command for command in commands if command[0] == "train.py")
    overrides = [word for word in train if word.startswith("--config.")]
    config = read_config(train[train.index("--config") + 1], overrides)
    assert (config.train.init_from, config.model.dl_da, config.train.steps) == ("lw_drgn_photo", False, 500)


@pytest.mark.parametrize("page", sorted(set(re.findall(r"\]\((\w+\.md)\)", "\n".join(sources("markdown"))))))
def test_each_linked_page_exists(page):
    assert (NOTEBOOK.parent / page).is_file()
