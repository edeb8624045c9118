"""SID, See in the Dark: short and long exposures of one scene as camera raw files.

`low` is the mosaic as in the file, uint16, cropped to canonical phase; `reference` LibRaw's 16-bit rendering of the
long exposure, aligned with it (ultrabm_jax/raw). Several short exposures share one reference, which is stored once:
56 GB for Sony instead of 180 GB. All frames of a burst are kept; SID itself trains and tests on `burst` 0. Scenes
10034, 10045 and 10172 of the test are misaligned: MISALIGNED, to be left out of metrics, not of the records. `group`
is the exposure below the reference's in EV: "-6.6", "-8.0" and "-8.2" for the ratios 100, 250 and 300.

With several OpenMP threads, LibRaw 0.22 renders X-Trans nondeterministically (about one rendering in ten differs, in a
thousandth of its pixels); Bayer is deterministic. The command sets OMP_NUM_THREADS=1, which makes both reproducible;
set it too when you use plain TFDS.

`synthetic` is True for a data set that input_pipeline.synthesize_sid made: it has this layout and is not SID.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from input_pipeline.builders.base import MOSAIC, NAMES, WIDE_PIXELS, Entries, RecordBuilder
from input_pipeline.builders.shards import Entry, Example, Read
from input_pipeline.files.listing import Defect, raise_on_defects
from input_pipeline.raw_pairs.sid_lists import CAMERAS, CFA, MISALIGNED, SPLITS, SidFrame, find_sid
from input_pipeline.raw_pairs.source import pairs_of_folder
from input_pipeline.sources.lazy_images import ArrayCache, Size
from ultrabm_jax.raw import read_raw
from ultrabm_jax.raw.rendering import render_reference

__all__ = ["MISALIGNED", "Sid"]


# From the list files: short frames, long frames.
PUBLISHED = {
    "sony": {"train": (1865, 161), "val": (234, 20), "test": (598, 50)},
    "fuji": {"train": (1655, 135), "val": (218, 17), "test": (524, 41)},
}

_CITATION = """\
@inproceedings{chen2018sid,
  title={Learning to See in the Dark},
  author={Chen, Chen and Chen, Qifeng and Xu, Jia and Koltun, Vladlen},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition},
  year={2018}
}"""

_FEATURES = {
    **NAMES,
    "low": MOSAIC,
    "reference": WIDE_PIXELS,
    "reference_index": np.int64,
    "black": tfds.features.Tensor(shape=(None, None), dtype=np.float32, encoding=tfds.features.Encoding.BYTES),
    "white": np.float32,
    "cfa": tfds.features.Text(doc="bayer or xtrans"),
    "exposure": np.float32,  # seconds
    "reference_exposure": np.float32,
    "ratio": np.float32,  # min(long / short, 300)
    "burst": np.int64,
    "iso": np.int64,
    "synthetic": np.bool_,
}


class Sid(RecordBuilder):
    """Configs sony, fuji; splits train, val, test, each with its _reference."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Sony.zip (25 GB) and Fuji.zip (52 GB) from https://github.com/cchen156/Learning-to-See-in-the-Dark, and the list
    files from its folder dataset/; the code is MIT, no licence of the data is stated, research use. manual_dir is the
    folder with
      Sony_{train,val,test}_list.txt, Sony/{short,long}/PSSSS_BB_T.TTs.ARW
      Fuji_{train,val,test}_list.txt, Fuji/{short,long}/PSSSS_BB_T.TTs.RAF
    """
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="sony", description="Sony a7S II, Bayer 4256x2848"),
        tfds.core.BuilderConfig(name="fuji", description="Fujifilm X-T2, X-Trans 6032x4032"),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "sony"
    COUNTS: ClassVar = {
        camera: {
            name: count
            for split, (short, long) in splits.items()
            for name, count in ((split, short), (f"{split}_reference", long))
        }
        for camera, splits in PUBLISHED.items()
    }

    @property
    def read(self) -> Read:
        return read_frame

    def _info(self) -> tfds.core.DatasetInfo:
        return self.describe(
            description="Short-exposure raw images of dark scenes with long-exposure references of the same scene.",
            features=tfds.features.FeaturesDict(_FEATURES),
            homepage="https://github.com/cchen156/Learning-to-See-in-the-Dark",
            license="not stated for the data (code: MIT); research use",
            citation=_CITATION,
        )

    def entries(self, root: Path) -> Entries:
        camera = self.builder_config.name
        splits: dict[str, list[Entry]] = {}
        defects: list[Defect] = []
        for split in SPLITS:
            frames, more = find_sid(root, camera=camera, split=split, option="--manual_dir")
            pairs, unfit = pairs_of_folder(frames, cfa=CFA[camera], cache=ArrayCache(0))  # every header, before writing
            defects += more + unfit
            sizes = {pair.name: pair.low.size for pair in pairs}
            usable = [frame for frame in frames if frame.name in sizes]
            if not usable and not more + unfit:
                defects.append(Defect("empty folder", f"{CAMERAS[camera]}_{split}_list.txt names no image"))
            splits[split], splits[f"{split}_reference"] = frame_entries(usable, sizes)
        raise_on_defects(defects)
        return splits


def frame_entries(frames: Sequence[SidFrame], sizes: Mapping[str, Size]) -> tuple[list[Entry], list[Entry]]:
    """(dark images, their references), each reference once and in the order in which it is first named."""
    references: dict[Path, SidFrame] = {}
    for frame in frames:
        references.setdefault(frame.long, frame)
    index = {long: i for i, long in enumerate(references)}
    lows = [
        Entry(
            frame.name,
            {"low": frame.short},
            2 * math.prod(sizes[frame.name]),
            _dark_fields(frame) | {"reference_index": index[frame.long]},
        )
        for frame in frames
    ]
    return lows, [
        Entry(long.stem, {"reference": long}, 6 * math.prod(sizes[frame.name]), _scene_fields(frame))
        for long, frame in references.items()
    ]


def _scene_fields(frame: SidFrame) -> Example:
    return {"scene": frame.scene, "reference_exposure": frame.reference_exposure, "synthetic": frame.synthetic}


def _dark_fields(frame: SidFrame) -> Example:
    more = {"burst": frame.burst, "exposure": frame.exposure, "ratio": frame.ratio, "iso": frame.iso}
    return _scene_fields(frame) | more | {"group": f"{-math.log2(frame.ratio):.1f}"}


def read_frame(entry: Entry) -> Example:
    """A short exposure's mosaic with its levels, or a long exposure's rendering."""
    if "reference" in entry.files:
        return {"reference": render_reference(entry.files["reference"])}
    mosaic = read_raw(entry.files["low"])
    return {
        "low": np.ascontiguousarray(mosaic.values),
        "black": np.ascontiguousarray(mosaic.black, np.float32),
        "white": mosaic.white,
        "cfa": mosaic.cfa,
    }
