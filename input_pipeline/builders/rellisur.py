"""RELLISUR: real low light with references at x1, x2 and x4. One config per scale; each reference is stored once.

Reads the data set as downloaded, with or without the folder NLHR-Duplicates. The counts (722, 43 and 85 scenes of five
exposures) are from secondary sources, so a difference is only a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from input_pipeline.builders.base import MANY_TO_ONE, Entries, RecordBuilder
from input_pipeline.builders.files import Size, measured_pairs, pixel_bytes
from input_pipeline.builders.shards import Entry
from input_pipeline.files.layouts import LAYOUTS, find_pairs
from input_pipeline.files.listing import Pair

SCENES = {
    "train_reference": 722,
    "val_reference": 43,
    "test_reference": 85,
}  # layouts.py counts the dark ones

_CITATION = """\
@inproceedings{aakerberg2021rellisur,
  title={{RELLISUR}: A Real Low-Light Image Super-Resolution Dataset},
  author={Aakerberg, Andreas and Nasrollahi, Kamal and Moeslund, Thomas B.},
  booktitle={NeurIPS Datasets and Benchmarks Track},
  year={2021}
}"""


class Rellisur(RecordBuilder):
    """Configs x1, x2, x4; splits train, val, test, each with its _reference."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    RELLISUR.zip (8.9 GB, CC BY 4.0) from https://doi.org/10.5281/zenodo.5234969; unpack it and point manual_dir at
    the folder RELLISUR-Dataset:
      {Train,Val,Test}/LLLR/NNNNN-E.E.png                          dark: scene NNNNN at -E.E EV
      {Train,Val,Test}/NLHR/X{1,2,4}/NNNNN.png                     references, or
      {Train,Val,Test}/NLHR-Duplicates/X{1,2,4}/NNNNN-E.E.png      their copies, one per dark image
    """
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name=f"x{scale}", description=f"references {scale} times as large")
        for scale in (1, 2, 4)
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "x2"
    COUNTS: ClassVar = dict.fromkeys(("x1", "x2", "x4"), SCENES)

    @property
    def scale(self) -> int:
        """Reference over low."""
        return int(self.builder_config.name[1:])

    def _info(self) -> tfds.core.DatasetInfo:
        return self.describe(
            description="4,250 dark images of 850 scenes at five exposures from -2.5 to -5 EV, with normal-light "
            "references at one, two and four times the resolution. Licence: CC BY 4.0.",
            features=tfds.features.FeaturesDict(MANY_TO_ONE),
            homepage="https://doi.org/10.5281/zenodo.5234969",
            license="CC BY 4.0",
            citation=_CITATION,
        )

    def entries(self, root: Path) -> Entries:
        splits: dict[str, list[Entry]] = {}
        for split in LAYOUTS["rellisur"].subsets:
            listing = find_pairs("rellisur", str(root), split=split, scale=self.scale, option="--manual_dir")
            sizes = measured_pairs(listing, scale=self.scale)
            references = reference_files(listing.pairs)
            index = {scene: i for i, scene in enumerate(references)}
            splits[split] = [_dark(pair, sizes, index) for pair in listing.pairs]
            splits[f"{split}_reference"] = [
                Entry(scene, {"reference": path}, pixel_bytes(sizes[path]), {"scene": scene})
                for scene, path in references.items()
            ]
        return splits


def scene_of(name: str) -> str:
    """NNNNN of NNNNN-E.E."""
    return name.split("-")[0]


def reference_files(pairs: Sequence[Pair]) -> dict[str, Path]:
    """{scene: file}, the first of its copies; warns if copies are not equally long."""
    references: dict[str, Path] = {}
    for pair in pairs:
        first = references.setdefault(scene_of(pair.name), pair.reference)
        if pair.reference.stat().st_size != first.stat().st_size:
            logging.warning("RELLISUR: %s differs from %s, which is used for the scene", pair.reference, first)
    return references


def _dark(pair: Pair, sizes: dict[Path, Size], index: dict[str, int]) -> Entry:
    scene = scene_of(pair.name)
    fields = {"scene": scene, "group": pair.group, "reference_index": index[scene]}
    return Entry(pair.name, {"low": pair.low}, pixel_bytes(sizes[pair.low]), fields)
