"""Recognises files that are saved as images or weights but are something else: pointers, web pages, archives."""

from __future__ import annotations

HEAD = 512  # bytes from which the type of a file is guessed

# First bytes, in lower case, of files that often carry a wrong name; the first match counts.
BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file with `git lfs pull`"),
    (b"<!doctype html", "a web page: the download failed"),
    (b"<html", "a web page: the download failed"),
    (b"<?xml", "an XML text, such as SVG or a server's error"),
    (b"{", "a JSON text, perhaps a server's error"),
    (b"pk\3\4", "a ZIP archive: unpack it"),
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"%!ps", "PostScript, which is not read"),
    (b"%pdf", "a PDF, which is not read"),
)


def lowercase_start(head: bytes) -> bytes:
    """The first bytes in lower case, without a byte order mark and leading white space."""
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()


def guess_common_type(head: bytes) -> str | None:
    """Guesses from its first bytes the type of a file that is neither an image nor weights; None if unknown."""
    if not head:
        return "an empty file (0 bytes)"
    if not head.strip(b"\0"):
        return "begins with zeros only: an incomplete copy"
    text = lowercase_start(head)
    return next((what for start, what in BEGINNINGS if text.startswith(start)), None)
