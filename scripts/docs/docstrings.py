"""Griffe extension: renders this project's docstrings as Markdown.

name, other: what they are         lines that start with names of parameters or fields become a list
uint8       (h, w, 3)              aligned columns become a code block
"""

from __future__ import annotations

import re

import griffe

NAMED = re.compile(r"^(\w+(?:, \w+)*): (?=\S)")
ALIGNED = re.compile(r"^\S(.*\S)? {3,}\S")
PRODUCT = re.compile(r"(`[^`]*`)|(?<=\w)(\*+)(?=\w)")
SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns|Yields|Raises|Attributes|Examples?|Notes?):$")


class DocstringLayout(griffe.Extension):
    """Lays out the docstrings of all objects once the package is read."""

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **kwargs: object) -> None:
        """Replaces the text of the docstring."""
        if obj.docstring is not None:
            obj.docstring.value = lay_out(obj.docstring.value, names_of(obj))


def names_of(obj: griffe.Object) -> set[str]:
    """The names that the docstring may explain."""
    if isinstance(obj, griffe.Function):
        return {parameter.name for parameter in obj.parameters}
    if isinstance(obj, griffe.Class):
        init = obj.members.get("__init__")
        parameters = {p.name for p in init.parameters} if isinstance(init, griffe.Function) else set()
        return parameters | set(obj.members)
    return set()


def lay_out(text: str, names: set[str]) -> str:
    """The docstring with lists and code blocks; paragraphs, indented blocks and sections stay as they are."""
    return "\n\n".join(_block(block, names) for block in re.split(r"\n[ ]*\n", text))


def _block(block: str, names: set[str]) -> str:
    lines = block.split("\n")
    if lines[0].startswith(" "):
        return block
    if SECTION.match(lines[0]):
        return _escaped(block)
    if sum(ALIGNED.match(line) is not None for line in lines) * 2 > len(lines) and len(lines) > 1:
        return "\n".join("    " + line for line in lines)
    out: list[str] = []
    in_item = False
    for line in _escaped(block).split("\n"):
        named = NAMED.match(line)
        if named and set(named[1].split(", ")) <= names:
            out += [""] * (bool(out) and not in_item)
            quoted = ", ".join(f"`{name}`" for name in named[1].split(", "))
            out.append(f"- {quoted}: {line[named.end() :]}")
            in_item = True
        elif in_item and not line.startswith("Raises "):  # continues the item
            out.append("    " + line.strip())
        else:
            out += [""] * in_item
            out.append(line)
            in_item = False
    return "\n".join(out)


def _escaped(text: str) -> str:
    return PRODUCT.sub(lambda match: match[1] or "\\*" * len(match[2]), text)
