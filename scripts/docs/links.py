"""MkDocs hook: adds pages from outside docs/ to the site, and rewrites links, which are relative to the repository.

Links in the pages work where the files are read in a checkout. On the site,

    README.md                      is the first page
    a notebook                     is a page (notebook.py)
    a Markdown file                outside docs/ is a page at its path in the repository, if a page links to it
    any other linked file          is copied to source/ of the site
    a folder of the library        is its page of the API reference
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS, COPIES, API = "docs/", "source/", "api/"
HOME = "index.md"
UNLINKED = ("CHANGELOG.md",)  # a page to which no page links
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def site_path(path: str) -> str | None:
    """Where the site has a file or folder of the repository; None if it has no place there."""
    if path == "README.md":
        return HOME
    if path.startswith(DOCS):
        return re.sub(r"\.ipynb$", ".md", path.removeprefix(DOCS))
    if (ROOT / path).is_dir():
        page = f"{API}{path.rsplit('/', 1)[-1]}.md"
        return page if (ROOT / DOCS / page).is_file() else None
    if not (ROOT / path).is_file():
        return None
    return path if path.endswith(".md") else COPIES + path


def repository_path(src_uri: str) -> str:
    """The inverse of `site_path` for pages."""
    if src_uri == HOME:
        return "README.md"
    return DOCS + src_uri if (ROOT / DOCS / src_uri).is_file() else src_uri


def targets(text: str, page: str) -> set[str]:
    """The local files and folders that the Markdown of a page links to, as paths in the repository."""
    found = {_resolve(match[2], page) for match in LINK.finditer(CODE.sub("", text))}
    return {path for path in found if path is not None}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and files outside docs/ that pages link to, in turn."""
    pages = ["README.md", *UNLINKED, *(DOCS + file.src_uri for file in files.documentation_pages())]
    for path in ("README.md", *UNLINKED):
        files.append(_external(path, site_path(path) or path, config))
    while pages:
        page = pages.pop()
        for target in sorted(targets((ROOT / page).read_text(encoding="utf-8"), page)):
            place = site_path(target)
            if target.startswith(DOCS) or not (ROOT / target).is_file():
                continue
            if place is not None and files.get_file_from_path(place) is None:
                files.append(_external(target, place, config))
                pages += [target] if target.endswith(".md") else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrites the links of a page for its place on the site."""
    here = page.file.src_uri
    origin = repository_path(here)

    def rewritten(match: re.Match[str]) -> str:
        target = _resolve(match[2], origin)
        place = None if target is None else site_path(target)
        if place is None:
            return match[0]
        path = posixpath.relpath(place, posixpath.dirname(here) or ".")
        return f"{match[1]}{path}{match[3] or ''}{match[4]}"

    parts, end = [], 0
    for code in CODE.finditer(markdown):
        parts += [LINK.sub(rewritten, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, LINK.sub(rewritten, markdown[end:])])


def _resolve(link: str, page: str) -> str | None:
    if re.match(r"[a-z]+:", link):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def _external(path: str, place: str, config: MkDocsConfig) -> File:
    return File.generated(config, place, abs_src_path=str(ROOT / path))
