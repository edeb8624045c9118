"""Opens sources from prepared records: the same pairs as from folders, in the same order and with the same names.

config.data.dataset names a builder of input_pipeline/builders, or a folder data set whose builder BUILDER names (lol is
lol/v1; rellisur at scale 2 is rellisur/x2). Data sets with several dark images per reference store each reference once,
in a split SPLIT_reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from ml_collections import ConfigDict

from input_pipeline.files.listing import Defect
from input_pipeline.raw_pairs.source import RawPairs, pairs_of_records
from input_pipeline.records import RecordSplit, find_records, open_records, split_names
from input_pipeline.sources.base import PairSource
from input_pipeline.sources.extra_inputs import make_extra_inputs
from input_pipeline.sources.lazy_images import ArrayCache, DownscaledImage, LazyImage
from input_pipeline.sources.pairs import ImagePair, Pairs, fit_sizes
from input_pipeline.sources.patches import patch_sampler
from input_pipeline.sources.synthetic import NamedImage, SyntheticPairs
from ultrabm_jax.errors import UserError

# data.dataset -> the builder's name and configuration, where they differ
BUILDER = {
    "lol": "lol/v1",
    "lol_v2_real": "lol/v2_real",
    "lol_v2_synthetic": "lol/v2_synthetic",
    "rellisur": "rellisur/x{scale}",
    "sid_sony": "sid/sony",
    "sid_fuji": "sid/fuji",
    "synthetic": "photos",
}
VALIDATION = {"val": "validation"}  # the name that TFDS uses


def record_name(dataset: str, *, scale: int) -> str:
    """The data set's folder below data.records, without the version."""
    return BUILDER.get(dataset, dataset).format(scale=scale)


def record_split(data: ConfigDict, split: str, *, scale: int) -> str:
    """The builder's name of the "train" split or of the evaluation split; raises UserError if there is none."""
    wanted = "train" if split == "train" else data.eval_split
    known = split_names(find_records(data.records, record_name(data.dataset, scale=scale)))
    names = [name for name in (wanted, VALIDATION.get(wanted, wanted)) if name in known]
    if not names:
        existing = ", ".join(name for name in known if not name.endswith("_reference"))
        raise UserError(f"the records of {data.dataset!r} have no split {wanted!r}; they have: {existing}")
    return names[0]


def open_recorded(data: ConfigDict, *, scale: int, split: str) -> tuple[PairSource, list[Defect]]:
    """Opens a split; returns its source and a defect for each pair whose sizes do not match."""
    name = record_name(data.dataset, scale=scale)
    part = record_split(data, split, scale=scale)
    records = open_records(data.records, name, part)
    cache = ArrayCache(int(data.cache_gib * 2**30))
    if "ratio" in records:
        references = open_records(data.records, name, f"{part}_reference")
        return RawPairs(pairs_of_records(records, references), bayer_aug=data.bayer_aug), []
    if "low" not in records:
        photos = [NamedImage(name, records.pixels(i, "reference")) for i, name in enumerate(records.names)]
        return SyntheticPairs(photos, scale=scale, options=data.darkness, patches=patch_sampler(data)), []
    pairs, defects = [], []
    for i, (low, reference) in enumerate(_pixels(data, name, part, records)):
        try:
            _, downscaled = fit_sizes(low.size, reference.size, scale=scale, downscale=data.downscale)
        except UserError as error:
            defects.append(Defect("sizes", f"{records.names[i]} of {records.folder}: {error}"))
            continue
        used = DownscaledImage(low, scale) if downscaled else low
        extra = make_extra_inputs(data.extra_inputs, used, key=(part, i), cache=cache)
        pairs.append(ImagePair(records.names[i], used, reference, records.value(i, "group") or None, extra))
    return Pairs(pairs, scale=scale, patches=patch_sampler(data)), defects


def _pixels(data: ConfigDict, name: str, part: str, records: RecordSplit) -> Iterator[tuple[LazyImage, LazyImage]]:
    """Yields (low, reference) of each example."""
    if "reference_index" in records:
        references = open_records(data.records, name, f"{part}_reference")
        for i in range(len(records)):
            yield records.pixels(i, "low"), references.pixels(records.value(i, "reference_index"), "reference")
    elif "reference" in records:
        for i in range(len(records)):
            yield records.pixels(i, "low"), records.pixels(i, "reference")
    else:
        raise UserError(f"the records of {data.dataset!r} have no reference: they can be restored, not trained on")
