"""Any folder of dark images without references, at any depth (LIME, DICM, NPE, MEF, your own): split `test`."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets as tfds

from input_pipeline.builders.base import PIXELS, Entries, RecordBuilder
from input_pipeline.builders.files import single_entries
from input_pipeline.files.listing import raise_on_defects
from input_pipeline.files.photos import find_photos


class DarkFolder(RecordBuilder):
    """One split, test."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Your own images; manual_dir is a folder of them, at any depth. You are responsible for their licence.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.describe(
            description="A folder of dark images without reference.",
            features=tfds.features.FeaturesDict({"name": tfds.features.Text(), "low": PIXELS}),
        )

    def entries(self, root: Path) -> Entries:
        files, defects = find_photos(str(root), split="eval", option="--manual_dir")
        raise_on_defects(defects)
        return {"test": single_entries(files, "low")}
