"""DARK FACE: night street photos without references, for no-reference metrics and visual comparison.

UltraBM evaluates on a "DarkFace-Test" that it does not define. Here, `test` holds the 100 of the 6,000 published names
that come first by SHA-256 of "darkface/N", and `train` the other 5,900. The list does not depend on which files exist.
Face boxes are not read.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from input_pipeline.builders.base import PIXELS, Entries, RecordBuilder
from input_pipeline.builders.files import single_entries
from input_pipeline.files.listing import Defect, MissingData, images_by_stem, raise_on_defects
from input_pipeline.sampling import by_hash

PUBLISHED, TEST_SIZE = 6000, 100

_CITATION = """\
@article{yang2020advancing,
  title={Advancing Image Understanding in Poor Visibility Environments: A Collective Benchmark Study},
  author={Yang, Wenhan and Yuan, Ye and Ren, Wenqi and Liu, Jiaying and others},
  journal={IEEE Transactions on Image Processing},
  volume={29},
  pages={5737--5752},
  year={2020}
}"""


class Darkface(RecordBuilder):
    """Splits train (5,900) and test (100)."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    DARK FACE, the labelled training part (6,000 PNG 1080x720, several GB), from
    https://flyywh.github.io/CVPRW2019LowLight; no licence is stated, research use. manual_dir is the unpacked folder:
      image/1.png ... image/6000.png      (label/ beside it is not read)
    """
    COUNTS: ClassVar = {"": {"train": PUBLISHED - TEST_SIZE, "test": TEST_SIZE}}

    def _info(self) -> tfds.core.DatasetInfo:
        return self.describe(
            description="6,000 night street photos without reference; 100 of them, fixed by hash, are the test.",
            features=tfds.features.FeaturesDict({"name": tfds.features.Text(), "low": PIXELS}),
            homepage="https://flyywh.github.io/CVPRW2019LowLight",
            license="not stated; research use",
            citation=_CITATION,
        )

    def entries(self, root: Path) -> Entries:
        folder = root / "image"
        if not folder.is_dir():
            raise MissingData(f"{folder} is not a folder. {self.instructions()}")
        files, defects = images_by_stem(folder)
        known = {str(number) for number in range(1, PUBLISHED + 1)}
        defects += [
            Defect("bad name", f"{path} (expected 1 to {PUBLISHED})")
            for name, path in files.items()
            if name not in known
        ]
        raise_on_defects(defects)
        test = [name for name in held_names() if name in files]
        if len(test) < TEST_SIZE:
            logging.warning("darkface: %d of the %d test images are missing", TEST_SIZE - len(test), TEST_SIZE)
        splits = {
            "train": {name: path for name, path in files.items() if name not in test},
            "test": {name: files[name] for name in test},
        }
        return {split: single_entries(chosen, "low") for split, chosen in splits.items() if chosen}


def held_names() -> list[str]:
    """The fixed list, in the order of the hash."""
    return by_hash((str(number) for number in range(1, PUBLISHED + 1)), salt="darkface")[:TEST_SIZE]
