"""The documentation site: its navigation, its API pages and its hooks, which are tested where MkDocs is installed.

`make docs` builds the site, and fails on a broken link or a reference that does not exist.
"""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
CONFIG = (ROOT / "mkdocs.yml").read_text()
NAV = re.findall(r"^ +- (?:[^#\n]*: )?([\w./-]+\.md)\b", CONFIG.split("\nnav:\n")[1].split("\n\n")[0], re.MULTILINE)
IDENTIFIERS = sorted(
    {name for page in (DOCS / "api").glob("*.md") for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)}
)


def source_of(page):
    """The file of the repository from which scripts/docs makes a page."""
    if page == "index.md":
        return ROOT / "README.md"
    notebook = (DOCS / page).with_suffix(".ipynb")
    candidates = [DOCS / page, notebook, ROOT / page]
    return next((path for path in candidates if path.is_file()), None)


def test_each_page_of_the_navigation_exists():
    assert len(NAV) > 35
    assert len(set(NAV)) == len(NAV)
    assert {page: source_of(page) for page in NAV if source_of(page) is None} == {}


def test_each_page_of_docs_is_in_the_navigation():
    pages = {path.relative_to(DOCS).with_suffix(".md").as_posix() for path in DOCS.rglob("*.md")}
    pages |= {path.relative_to(DOCS).with_suffix(".md").as_posix() for path in DOCS.rglob("*.ipynb")}
    assert pages - set(NAV) == set(), "add these pages to the nav of mkdocs.yml"


def test_each_card_of_a_bundled_model_is_in_the_navigation():
    cards = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ultrabm_jax" / "pretrained").glob("*.md")}
    assert cards <= set(NAV)


def test_the_hooks_named_in_the_config_exist():
    hooks = re.findall(r"scripts/docs/\w+\.py", CONFIG)
    assert len(set(hooks)) == 3
    assert all((ROOT / hook).is_file() for hook in hooks)


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_each_name_of_the_api_and_its_public_members_have_docstrings(identifier):
    obj = pkgutil.resolve_name(identifier)
    assert inspect.getdoc(obj)
    if inspect.isclass(obj):
        public = {
            name: member
            for name, member in vars(obj).items()
            if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property | classmethod))
        }
        assert [name for name in public if not inspect.getdoc(getattr(obj, name))] == []


def test_the_api_documents_the_public_names():
    names = {identifier.rsplit(".", 1)[-1] for identifier in IDENTIFIERS}
    members = set(re.findall(r"\w+", " ".join(re.findall(r"members: \[(.*)\]", api_text()))))
    from ultrabm_jax import __all__ as public

    wanted = {*public, "compute", "create_model", "create_task", "load_torch", "save_torch", "default_config"} - {
        "__version__"
    }
    assert wanted <= names | members


def api_text():
    return "\n".join(page.read_text() for page in (DOCS / "api").glob("*.md"))


def test_the_built_site_is_ignored_by_git():
    assert subprocess.run(["git", "check-ignore", "-q", "site/index.html"], cwd=ROOT, check=False).returncode == 0


def hook(name, module):
    """A file of scripts/docs."""
    pytest.importorskip(module, reason=f'no {module}: pip install ".[docs]"')
    spec = importlib.util.spec_from_file_location(f"documentation_{name}", ROOT / "scripts" / "docs" / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_links_of_the_repository_become_links_of_the_site():
    links = hook("links", "mkdocs")
    places = {
        "README.md": "index.md",
        "docs/log/README.md": "log/README.md",
        "docs/quickstart.ipynb": "quickstart.md",
        "CONTRIBUTING.md": "CONTRIBUTING.md",
        "scripts/slurm.sh": "source/scripts/slurm.sh",
        "ultrabm_jax/config": "api/config.md",
        "ultrabm_jax/nothing.py": None,
    }
    assert {path: links.site_path(path) for path in places} == places
    text = "[a](../LICENSE) `[b](c.md)` [d](https://e.org/f.md) [g](data.md#h)\n```\n[i](j.md)\n```\n"
    assert links.targets(text, "docs/page.md") == {"LICENSE", "docs/data.md"}


def test_docstrings_become_lists_and_code_blocks():
    docstrings = hook("docstrings", "griffe")
    text = "Does it.\n\na, b: numbers,\nat least 1.\nc: a name.\nRaises UserError.\n\nx    one\ny    two"
    summary, items, raises, columns = docstrings.lay_out(text, {"a", "b", "c"}).split("\n\n")
    assert items == "- `a`, `b`: numbers,\n    at least 1.\n- `c`: a name."
    assert (summary, raises, columns) == ("Does it.", "Raises UserError.", "    x    one\n    y    two")
    assert docstrings.lay_out("note: no parameter", {"a"}) == "note: no parameter"
    assert docstrings.lay_out("(s*h, s*w), `s*h`, *so*, 2**k", set()) == r"(s\*h, s\*w), `s*h`, *so*, 2\*\*k"
