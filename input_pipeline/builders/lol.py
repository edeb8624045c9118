"""LOL, versions 1 and 2: low/normal pairs of equal size.

  v1             official: 485 training, 15 test pairs
  v1_drgn        480 / 20, the sizes that DRGN states. Its list is not published; here, test holds the 15 test images
                 and the five of our485 that come first by SHA-256 of "lol_drgn/NAME"
  v1_scenes      our485 split into train and val without a common scene, and the official test. val holds whole
                 scenes in the order of SHA-256 of "lol_val/SCENE", up to 48 images (a tenth); scenes that also occur
                 in the test images stay in train, so that selecting a checkpoint on val does not select on test
  v2_real        689 / 100
  v2_synthetic   900 / 100, made from RAISE photos

LOL publishes no scenes. `scene` of the real images is estimated from near-identical references (files/scenes.py) and
named after the first image of the scene; it is "" for v2_synthetic. In v1, 14 of the 15 test scenes also occur among
the training images; state this beside any result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from input_pipeline.builders.base import PAIR, Entries, RecordBuilder
from input_pipeline.builders.files import measured_pairs, paired_entries
from input_pipeline.builders.shards import Entry
from input_pipeline.files.layouts import DRGN_MOVED, find_pairs
from input_pipeline.files.listing import natural_key
from input_pipeline.files.scenes import find_scenes, take_scenes
from input_pipeline.sampling import by_hash

VAL_SIZE = 48  # images of v1_scenes' val, at most

V2_LAYOUTS = {"v2_real": "lol_v2_real", "v2_synthetic": "lol_v2_synthetic"}

_CITATION = """\
@inproceedings{wei2018retinexnet,
  title={Deep Retinex Decomposition for Low-Light Enhancement},
  author={Wei, Chen and Wang, Wenjing and Yang, Wenhan and Liu, Jiaying},
  booktitle={British Machine Vision Conference},
  year={2018}
}
@article{yang2021sparse,
  title={Sparse Gradient Regularized Deep {R}etinex Network for Robust Low-Light Image Enhancement},
  author={Yang, Wenhan and Wang, Wenjing and Huang, Haofeng and Wang, Shiqi and Liu, Jiaying},
  journal={IEEE Transactions on Image Processing},
  year={2021}
}"""


class Lol(RecordBuilder):
    """Configs v1, v1_drgn, v1_scenes, v2_real, v2_synthetic."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    LOL v1 (500 pairs, a few hundred MB) from https://daooshee.github.io/BMVC2018website; manual_dir is the folder with
      our485/{low,high}/N.png, eval15/{low,high}/N.png
    LOL v2 from https://github.com/flyywh/CVPR-2020-Semi-Low-Light; manual_dir is the folder LOL-v2 with
      Real_captured/{Train,Test}/Low/lowNNNNN.png, Real_captured/{Train,Test}/Normal/normalNNNNN.png
      Synthetic/{Train,Test}/{Low,Normal}/NAME.png
    No licence is stated; research use.
    """
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="v1", description="official split, 485 and 15 pairs"),
        tfds.core.BuilderConfig(name="v1_drgn", description="480 and 20 pairs, as DRGN states; our choice of the 20"),
        tfds.core.BuilderConfig(name="v1_scenes", description="train and val without a common scene, official test"),
        tfds.core.BuilderConfig(name="v2_real", description="version 2, real, 689 and 100 pairs"),
        tfds.core.BuilderConfig(name="v2_synthetic", description="version 2, synthetic, 900 and 100 pairs"),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "v1"

    def _info(self) -> tfds.core.DatasetInfo:
        return self.describe(
            description=f"Pairs of low and normal light: {self.builder_config.description}.",
            features=tfds.features.FeaturesDict(PAIR),
            supervised_keys=("low", "reference"),
            homepage="https://daooshee.github.io/BMVC2018website",
            license="not stated; research use",
            citation=_CITATION,
        )

    def entries(self, root: Path) -> Entries:
        config = self.builder_config.name
        listings = {
            split: find_pairs(V2_LAYOUTS.get(config, "lol"), str(root), split=split, scale=1, option="--manual_dir")
            for split in ("train", "test")
        }
        sizes = {split: measured_pairs(listing, scale=1) for split, listing in listings.items()}
        scenes: dict[str, str] = {}
        if config != "v2_synthetic":
            pairs = [pair for listing in listings.values() for pair in listing.pairs]
            scenes = find_scenes({pair.name: pair.reference for pair in pairs})
        splits = {
            split: paired_entries(listing.pairs, sizes[split], scenes=scenes) for split, listing in listings.items()
        }
        arrange = {"v1_drgn": drgn_split, "v1_scenes": scene_split}.get(config, dict)
        return arrange(splits)


def drgn_split(splits: Mapping[str, list[Entry]]) -> Entries:
    """Moves five training images to the test."""
    moved = set(by_hash((entry.name for entry in splits["train"]), salt="lol_drgn")[:DRGN_MOVED])
    test = [*splits["test"], *(entry for entry in splits["train"] if entry.name in moved)]
    return {
        "train": [entry for entry in splits["train"] if entry.name not in moved],
        "test": sorted(test, key=lambda entry: natural_key(entry.name)),
    }


def scene_split(splits: Mapping[str, list[Entry]]) -> Entries:
    """Moves whole training scenes that no test image shows to val."""
    held = val_scenes(
        [entry.fields["scene"] for entry in splits["train"]], {entry.fields["scene"] for entry in splits["test"]}
    )
    return {
        "train": [entry for entry in splits["train"] if entry.fields["scene"] not in held],
        "val": [entry for entry in splits["train"] if entry.fields["scene"] in held],
        "test": splits["test"],
    }


def val_scenes(train: list[str], test: Iterable[str], *, size: int = VAL_SIZE) -> set[str]:
    """Scenes for val: `train` has one scene per image. A tenth of a small set, at least one scene."""
    most = max(1, min(size, len(train) // 10))
    return take_scenes(train, set(train) - set(test), most=most, salt="lol_val")
