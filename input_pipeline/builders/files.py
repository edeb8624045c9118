"""From listed files to entries: every header is read first, so that a bad file is named before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from input_pipeline.builders.shards import Entry
from input_pipeline.files.listing import Defect, Listing, Pair, natural_key, raise_on_defects
from ultrabm_jax.image import BadImage, read_size

Size = tuple[int, int]  # h, w


def measure(paths: Iterable[Path]) -> tuple[dict[Path, Size], list[Defect]]:
    """The sizes of all readable headers, and what is wrong with the others."""
    unique = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(8) as pool:
        looked = list(pool.map(_look, unique))
    sizes = {path: size for path, size in zip(unique, looked, strict=True) if not isinstance(size, Defect)}
    return sizes, [size for size in looked if isinstance(size, Defect)]


def measured_pairs(listing: Listing, *, scale: int) -> dict[Path, Size]:
    """The sizes of all images of a listing; refuses its defects and pairs whose sizes do not fit the scale."""
    sizes, defects = measure(path for pair in listing.pairs for path in (pair.low, pair.reference))
    for pair in listing.pairs:
        low, reference = sizes.get(pair.low), sizes.get(pair.reference)
        if low and reference and reference != (low[0] * scale, low[1] * scale):
            what = f"low is {low[1]}x{low[0]}, reference {reference[1]}x{reference[0]}, but the scale is {scale}"
            defects.append(Defect("sizes", f"{pair.low} and {pair.reference}: {what}"))
    raise_on_defects(listing.defects + defects)
    return sizes


def paired_entries(pairs: Sequence[Pair], sizes: Mapping[Path, Size], *, scenes: Mapping[str, str]) -> list[Entry]:
    """Entries with both images; `scenes` by name, "" where it is not known."""
    return [
        Entry(
            pair.name,
            {"low": pair.low, "reference": pair.reference},
            pixel_bytes(sizes[pair.low]) + pixel_bytes(sizes[pair.reference]),
            {"scene": scenes.get(pair.name, ""), "group": pair.group or ""},
        )
        for pair in pairs
    ]


def single_entries(files: Mapping[str, Path], feature: str) -> list[Entry]:
    """Entries of one image each, in natural order of their names."""
    sizes, defects = measure(files.values())
    raise_on_defects(defects)
    return [
        Entry(name, {feature: files[name]}, pixel_bytes(sizes[files[name]])) for name in sorted(files, key=natural_key)
    ]


def pixel_bytes(size: Size) -> int:
    """Of 8-bit RGB."""
    return size[0] * size[1] * 3


def _look(path: Path) -> Size | Defect:
    try:
        return read_size(path)
    except BadImage as error:
        return Defect("unreadable", str(error))
