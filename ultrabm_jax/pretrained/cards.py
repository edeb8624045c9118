"""Reads what the card of a bundled model states (NAME.md, written by ultrabm_jax/tools/card.py and by hand)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

LICENCE, SPEED = "Licence of the weights:", "Speed:"  # beginnings of the lines that state them


class CardFacts(NamedTuple):
    """Texts of a card; empty if it does not state them."""

    licence: str
    speed: str
    results: tuple[str, ...]  # one line for each evaluation, of the model's own scores


def read_card(path: Path) -> CardFacts:
    """The facts in the card at `path`; all empty if there is no card."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    return CardFacts(_stated(LICENCE, text), _stated(SPEED, text), tuple(_results(text)))


def _stated(beginning: str, text: str) -> str:
    match = re.search(rf"^{re.escape(beginning)} *(.+)$", text, re.MULTILINE)
    return match[1].strip().rstrip(".") if match else ""


def _results(text: str) -> list[str]:
    """The first row, which is the model's, of the table below each title of an evaluation."""
    lines = []
    for title, header, row in re.findall(r"^### (.+)\n\n\|(.+)\|\n\|[ |:-]+\|\n\|(.+)\|$", text, re.MULTILINE):
        names, values = ([cell.strip() for cell in cells.split("|")] for cells in (header, row))
        scores = ", ".join(f"{name} {value}" for name, value in zip(names[1:], values[1:], strict=False))
        lines.append(f"{title}: {scores}")
    return lines
