"""Any folder of well-lit photos, at any depth, that training darkens (DIV2K, BSDS, Kodak): split `train`."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets as tfds

from input_pipeline.builders.base import PIXELS, Entries, RecordBuilder
from input_pipeline.builders.files import single_entries
from input_pipeline.files.listing import raise_on_defects
from input_pipeline.files.photos import find_photos


class Photos(RecordBuilder):
    """One split, train. For another split, prepare another folder into another data_dir."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Your own photos; manual_dir is a folder of them, at any depth. You are responsible for their licence.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.describe(
            description="A folder of clean photos.",
            features=tfds.features.FeaturesDict({"name": tfds.features.Text(), "reference": PIXELS}),
        )

    def entries(self, root: Path) -> Entries:
        files, defects = find_photos(str(root), split="train", option="--manual_dir")
        raise_on_defects(defects)
        return {"train": single_entries(files, "reference")}
