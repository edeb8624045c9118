"""Makes entries from listed files. All headers are read first, so that bad files are reported before writing starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from input_pipeline.builders.shards import Entry
from input_pipeline.files.listing import Defect, Listing, Pair, natural_key, raise_on_defects
from ultrabm_jax.image import BadImage, read_size

Size = tuple[int, int]  # h, w


def measure(paths: Iterable[Path]) -> tuple[dict[Path, Size], list[Defect]]:
    """The sizes of all files whose header can be read, and a defect for each of the others."""
    unique = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(_read_size, unique))
    sizes = {path: size for path, size in zip(unique, results, strict=True) if not isinstance(size, Defect)}
    return sizes, [result for result in results if isinstance(result, Defect)]


def measured_pairs(listing: Listing, *, scale: int) -> dict[Path, Size]:
    """The sizes of all images of a listing; raises UserError on defects and on sizes that do not match the scale."""
    sizes, defects = measure(path for pair in listing.pairs for path in (pair.low, pair.reference))
    for pair in listing.pairs:
        low, reference = sizes.get(pair.low), sizes.get(pair.reference)
        if low and reference and reference != (low[0] * scale, low[1] * scale):
            what = f"low is {low[1]}x{low[0]}, reference {reference[1]}x{reference[0]}, but the scale is {scale}"
            defects.append(Defect("sizes", f"{pair.low} and {pair.reference}: {what}"))
    raise_on_defects(listing.defects + defects)
    return sizes


def paired_entries(pairs: Sequence[Pair], sizes: Mapping[Path, Size], *, scenes: Mapping[str, str]) -> list[Entry]:
    """Entries with both images; `scenes` maps names to scenes, and missing names get ""."""
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
    """The bytes of an 8-bit RGB image."""
    return size[0] * size[1] * 3


def _read_size(path: Path) -> Size | Defect:
    try:
        return read_size(path)
    except BadImage as error:
        return Defect("unreadable", str(error))
