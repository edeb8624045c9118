"""COCO photos with synthetic darkness, as many as in DRGN's COCO24700 and COCO1000.

DRGN publishes neither its list nor its recipe. This data set takes the 24,700 photos of train2017 and the 1,000 of
val2017 that come first by SHA-256 of "coco_dark/NAME" (fewer, with a warning, if files are missing). The darkness is
that of image/gamma_darkness.py, drawn from the name. gamma.json in the folder of the data set, which
`ultrabm_jax.tools.calibrate_gamma` writes, replaces the range of gamma. Results are not comparable with DRGN's Table 4.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from input_pipeline.builders.base import PAIR, Entries, RecordBuilder
from input_pipeline.builders.files import single_entries
from input_pipeline.builders.shards import Entry, Example, Read
from input_pipeline.files.listing import MissingData, images_by_stem, raise_on_defects
from input_pipeline.sampling import by_hash, image_rng
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.image.gamma_darkness import COCO_SALT, COCO_SEED, GAMMA, darken_by_gamma

CALIBRATION = "gamma.json"
COUNTS = {"train": 24_700, "test": 1000}
FOLDERS = {"train": "train2017", "test": "val2017"}

_CITATION = """\
@inproceedings{lin2014coco,
  title={Microsoft {COCO}: Common Objects in Context},
  author={Lin, Tsung-Yi and Maire, Michael and Belongie, Serge and Hays, James and Perona, Pietro and Ramanan, Deva
          and Doll{\\'a}r, Piotr and Zitnick, C. Lawrence},
  booktitle={European Conference on Computer Vision},
  year={2014}
}"""


class CocoDark(RecordBuilder):
    """Splits train (24,700) and test (1,000)."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    train2017.zip (18 GB) and val2017.zip (1 GB) from https://cocodataset.org/#download; the photos are under the
    licences of their Flickr authors, the annotations (not read) CC BY 4.0. manual_dir is the folder with
      train2017/NNNNNNNNNNNN.jpg and val2017/NNNNNNNNNNNN.jpg.
    For dark images of 11.58 dB on average, as DRGN states, first write gamma.json there:
      python -m ultrabm_jax.tools.calibrate_gamma COCO/val2017 --output COCO/gamma.json
    """
    COUNTS: ClassVar = {"": COUNTS}

    @property
    def read(self) -> Read:
        return read_pair

    def _info(self) -> tfds.core.DatasetInfo:
        return self.describe(
            description="COCO photos as references, with synthetic darkness (gamma, photon and read noise).",
            features=tfds.features.FeaturesDict(PAIR),
            supervised_keys=("low", "reference"),
            homepage="https://cocodataset.org",
            license="photos: as their Flickr authors chose; annotations: CC BY 4.0",
            citation=_CITATION,
        )

    def entries(self, root: Path) -> Entries:
        calibration = root / CALIBRATION
        if calibration.is_file():
            read_gamma(calibration)  # reports an invalid file before any image is read
        return {split: self._split(root / folder, COUNTS[split], calibration) for split, folder in FOLDERS.items()}

    def _split(self, folder: Path, count: int, calibration: Path) -> list[Entry]:
        if not folder.is_dir():
            raise MissingData(f"{folder} is not a folder. {self.instructions()}")
        files, defects = images_by_stem(folder)
        raise_on_defects(defects)
        chosen = by_hash(files, salt=COCO_SALT)[:count]
        entries = single_entries({name: files[name] for name in chosen}, "reference")
        # A file of each entry, so that shards of another calibration are not continued.
        extra = {"gamma": calibration} if calibration.is_file() else {}
        return [Entry(entry.name, {**entry.files, **extra}, 2 * entry.nbytes) for entry in entries]


def read_pair(entry: Entry) -> Example:
    """Reads the photo and computes its dark version."""
    reference = read_rgb_uint8(entry.files["reference"])
    gamma = read_gamma(entry.files["gamma"]) if "gamma" in entry.files else GAMMA
    return {"low": darken_by_gamma(reference, image_rng(COCO_SEED, entry.name), gamma=gamma), "reference": reference}


def read_gamma(path: Path) -> tuple[float, float]:
    """The limits of gamma in a file of `ultrabm_jax.tools.calibrate_gamma`. Raises UserError for another content."""
    try:
        low, high = map(float, json.loads(path.read_text(encoding="utf-8"))["gamma"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a file of ultrabm_jax.tools.calibrate_gamma ({error!r})") from error
    if not 0 < low <= high:
        raise UserError(f"{path}: gamma from {low:g} to {high:g} must be positive and in this order")
    return low, high
