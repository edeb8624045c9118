"""The base class of all builders: writes records whose pixels are contiguous and uncompressed.

Every pixel feature is a Tensor of raw bytes (PIXELS, WIDE_PIXELS, MOSAIC), so that input_pipeline/records/ reads
crops directly from a shard, and `tfds.load` works as for any data set. Examples are in the natural order of their
names. TFDS's shuffling while writing is disabled, so example i is the same image on every machine.

Data sets with several dark images per reference (RELLISUR, SID) store each reference once: `reference_index` of split S
refers to split S_reference. TFDS has one set of features for all splits; those that a split lacks are empty: (0, 0, 3)
pixels, "" text, -1, nan, False.

After a kill, preparation resumes: finished shards are kept in VERSION.staging-KEY beside the final folder until all are
written. KEY is a fingerprint of the source files (names, sizes, times), the features and the version, so shards of
different sources are never mixed.

No checksums of these data sets are known, so every file is checked by decoding it, and the number of examples is
compared with the published one (a difference is only a warning).
"""

from __future__ import annotations

import logging
import os
import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from input_pipeline.builders.shards import SHARD_BYTES, Entry, Read, Shard, fingerprint, plan, read_images
from input_pipeline.builders.writing import ShardWriter, only_writer, write_all
from input_pipeline.files.listing import MissingData
from ultrabm_jax.logging import logger

_BYTES = tfds.features.Encoding.BYTES
PIXELS = tfds.features.Tensor(shape=(None, None, 3), dtype=np.uint8, encoding=_BYTES)
WIDE_PIXELS = tfds.features.Tensor(shape=(None, None, 3), dtype=np.uint16, encoding=_BYTES)
MOSAIC = tfds.features.Tensor(shape=(None, None), dtype=np.uint16, encoding=_BYTES)

NAMES = {"name": tfds.features.Text(), "scene": tfds.features.Text(), "group": tfds.features.Text()}
PAIR = {**NAMES, "low": PIXELS, "reference": PIXELS}  # paired 1:1
MANY_TO_ONE = {**PAIR, "reference_index": np.int64}

Entries = Mapping[str, Sequence[Entry]]  # by split


class RecordBuilder(tfds.core.ShardBasedBuilder):
    """A subclass lists the examples (`entries`); this class writes them.

    source_dir: the folder of the downloaded data set; None means TFDS's DownloadConfig.manual_dir.
    processes: the number of writing processes; more than one requires an importable main module (multiprocessing).
    """

    VERSION = tfds.core.Version("1.0.0")
    COUNTS: ClassVar[Mapping[str, Mapping[str, int]]] = {}  # published: config ("" if none) -> split -> count

    source_dir: Path | None = None
    processes: int = 1
    shard_bytes: int = SHARD_BYTES

    @abstractmethod
    def entries(self, root: Path) -> Entries:
        """The examples of every split in natural order; raises UserError on any defect of the folder."""

    @property
    def read(self) -> Read:
        """The function that decodes an entry."""
        return read_images

    @property
    def staging(self) -> list[Path]:
        """Folders of finished shards of incomplete preparations, of any source."""
        return sorted(self._final_dir.parent.glob(f"{self._final_dir.name}.staging-*"))

    def describe(self, **options: Any) -> tfds.core.DatasetInfo:  # Any: the arguments of DatasetInfo
        """`DatasetInfo` of this builder, without shuffling."""
        return tfds.core.DatasetInfo(builder=self, disable_shuffling=True, **options)

    def _shard_iterators_per_split(self, dl_manager: tfds.download.DownloadManager) -> dict[str, list[Shard]]:
        shards = {}
        for split, entries in self.entries(self._source(dl_manager)).items():
            expected = self.COUNTS.get(self.builder_config_name or "", {}).get(split, len(entries))
            if len(entries) != expected:
                logging.warning("%s %s: %d examples; published are %d", self.name, split, len(entries), expected)
            names = self._get_filename_template(split).relative_filepath
            shards[split] = plan(split, entries, read=self.read, file_name=names, shard_bytes=self.shard_bytes)
        return shards

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig | None = None,
    ) -> None:
        splits = self._shard_iterators_per_split(dl_manager)
        shards = [shard for these in splits.values() for shard in these]
        salt = f"{self.info.full_name} {self.info.features!r}"
        key = fingerprint(shards, root=self._source(dl_manager), salt=salt)
        folder = self._final_dir.with_name(f"{self._final_dir.name}.staging-{key}")
        for other in self.staging:
            if other != folder:
                logger.info(
                    f"{other}: unfinished records of a source that has changed; removed when this one is complete"
                )
        with only_writer(folder):
            self._write_missing(shards, folder)
            infos = [self._collect(split, these, folder) for split, these in splits.items()]
        self.info.set_splits(tfds.core.SplitDict(infos))

    def _write_missing(self, shards: Sequence[Shard], folder: Path) -> None:
        from tqdm import tqdm

        missing = [shard for shard in shards if not (folder / shard.file_name).is_file()]
        count = sum(len(shard.entries) for shard in shards)
        done = count - sum(len(shard.entries) for shard in missing)
        if done:
            logger.info(f"{folder}: {len(shards) - len(missing)} of {len(shards)} shards are already finished")
        writer = ShardWriter(folder, self.info.features, self._example_writer())
        with tqdm(total=count, initial=done, desc=self.info.full_name, unit="example", disable=None) as bar:
            for finished in write_all(missing, writer, processes=self.processes):
                bar.update(finished)

    def _collect(self, split: str, shards: Sequence[Shard], folder: Path) -> tfds.core.SplitInfo:
        # Linked rather than moved: a kill before TFDS renames its folder must not lose finished shards.
        for shard in shards:
            _link(folder / shard.file_name, self.data_path / shard.file_name)
        return tfds.core.SplitInfo(
            name=split,
            shard_lengths=[len(shard.entries) for shard in shards],
            num_bytes=sum((folder / shard.file_name).stat().st_size for shard in shards),
            filename_template=self._get_filename_template(split),
        )

    def _post_download_and_prepare_hook(self) -> None:
        self.remove_staging()

    def remove_staging(self) -> None:
        """Deletes the shards of incomplete preparations."""
        for folder in self.staging:
            shutil.rmtree(folder)

    @property
    def _final_dir(self) -> Path:
        # While TFDS writes, data_dir is a temporary folder beside the final one.
        return Path(self.data_dir).parent / str(self.version)

    def _source(self, dl_manager: tfds.download.DownloadManager) -> Path:
        if self.source_dir is None:
            try:
                return Path(dl_manager.manual_dir)
            except AssertionError:  # TFDS's message fills a page
                where = "no data set to read: set --manual_dir (in TFDS, DownloadConfig.manual_dir)"
                raise MissingData(f"{where}. {self.instructions()}") from None
        if not self.source_dir.is_dir():
            raise MissingData(f"{self.source_dir} is not a folder. {self.instructions()}")
        return self.source_dir

    @classmethod
    def instructions(cls) -> str:
        """Where to get the data set and how to lay it out, in one line."""
        return " ".join(cls.MANUAL_DOWNLOAD_INSTRUCTIONS.split())

    def _log_download_bytes(self) -> None:
        """Suppresses TFDS's message about a download, since nothing is downloaded."""

    _log_download_done = _log_download_bytes


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        source.rename(target)
