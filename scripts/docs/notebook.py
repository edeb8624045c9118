"""MkDocs hook: runs docs/quickstart.ipynb and adds it to the site as a page of Markdown with its outputs.

A cell that raises stops the build. EXECUTE_NOTEBOOK=0 leaves out the outputs, for work on other pages.
"""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 600  # of one cell; a busy machine compiles slowly


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replaces each notebook of docs/ by its page and the images of its outputs."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        book = nbformat.read(ROOT / "docs" / file.src_uri, as_version=4)
        if os.environ.get("EXECUTE_NOTEBOOK") != "0":
            execute(book)
        stem = file.src_uri.removesuffix(".ipynb")
        text, images = to_markdown(book, stem.rsplit("/", 1)[-1])
        files.remove(file)
        files.append(File.generated(config, f"{stem}.md", content=text))
        for name, data in images.items():
            files.append(File.generated(config, str(Path(stem).with_name(name)), content=data))
    return files


def execute(book: nbformat.NotebookNode) -> None:
    """Runs the cells in an empty folder, with this checkout importable."""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(book, timeout=TIMEOUT_S, resources={"metadata": {"path": folder}})
        client.execute(env=os.environ | {"PYTHONPATH": str(ROOT)})


def to_markdown(book: nbformat.NotebookNode, stem: str) -> tuple[str, dict[str, bytes]]:
    """The page, and its images by file name."""
    parts: list[str] = []
    images: dict[str, bytes] = {}
    for cell in book.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(_fenced("python", cell.source))
        if printed := "".join(output.get("text", "") for output in cell.outputs):
            parts.append(_fenced("text", printed.rstrip()))
        for data in (output.data for output in cell.outputs if "data" in output):
            if "image/png" in data:
                name = f"{stem}_{len(images) + 1}.png"
                images[name] = base64.b64decode(data["image/png"])
                parts.append(f"![output]({name})")
            else:
                parts.append(_fenced("text", data["text/plain"]))
    return "\n\n".join(parts) + "\n", images


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
