"""Where the records of a data set lie: the builder of each config.data.dataset."""

from __future__ import annotations

# data.dataset -> the builder's name and configuration, where they differ
BUILDER = {
    "lol": "lol/v1",
    "lol_drgn": "lol/v1_drgn",
    "lol_v2_real": "lol/v2_real",
    "lol_v2_synthetic": "lol/v2_synthetic",
    "rellisur": "rellisur/x{scale}",
    "sid_sony": "sid/sony",
    "sid_fuji": "sid/fuji",
    "synthetic": "photos",
}


def record_name(dataset: str, *, scale: int) -> str:
    """The data set's folder below data.records, without the version."""
    return BUILDER.get(dataset, dataset).format(scale=scale)
