"""Replaces the URLs in config.data by the folders of local copies."""

from __future__ import annotations

import re
from collections.abc import Collection

from ml_collections import ConfigDict

from input_pipeline.files.listing import MissingData
from input_pipeline.object_stores.local_copy import local_folder, open_copy
from input_pipeline.records import find_records, record_name
from input_pipeline.sources.from_records import record_split
from input_pipeline.sources.members import eval_members, read_members
from ultrabm_jax.buckets import url_scheme
from ultrabm_jax.errors import UserError

PATHS = ("root", "records", "eval_root", "photos")  # fields of config.data


def local_data(data: ConfigDict, *, scale: int, splits: Collection[str]) -> ConfigDict:
    """config.data with local copies in place of gs:// and s3:// URLs, for reading `splits` (train, val, test, eval).

    Copies what these splits need: of records the newest version's files of the splits, of folders all files. Paths that
    the splits do not need, and those on disk, stay. `data` itself is not changed.

    Raises UserError if a store cannot be read or the data do not fit on the disk, MissingData if there is nothing.
    """
    own: ConfigDict = data.copy_and_resolve_references()
    with own.unlocked():
        if data.eval_root and any(split != "train" for split in splits):
            own.eval_root = _local("data.eval_root", data.eval_root)
        if data.photos and "train" in splits:
            own.photos = _local("data.photos", data.photos)
        of_set = [split for split in splits if split == "train" or not data.eval_root]
        if data.mixture:
            own.mixture = _local_members(data, scale=scale, splits=of_set)
        elif of_set and data.records:
            own.records = _local_records(data, scale=scale, splits=of_set)
        elif of_set:
            own.root = _local("data.root", data.root)
    return own


def _local(option: str, path: str) -> str:
    try:
        return local_folder(path)
    except MissingData as error:
        raise MissingData(f"{option}: {error}") from error


def _local_members(data: ConfigDict, *, scale: int, splits: Collection[str]) -> tuple[object, ...]:
    """data.mixture with options that name the folders of those members that `splits` use."""
    evaluated = {member.name for member in eval_members(data)}
    entries: list[object] = []
    for entry, member in zip(data.mixture, read_members(data), strict=True):
        wanted = [split for split in splits if split == "train" or member.name in evaluated]
        try:
            local = local_data(member.data, scale=scale, splits=wanted)
        except UserError as error:
            kind = MissingData if isinstance(error, MissingData) else UserError
            raise kind(f"data.mixture: {member.name}: {error}") from error
        copied = {field: local[field] for field in PATHS if local[field] != member.data[field]}
        options = {**dict(entry[2:3][0] if entry[2:] else {}), **copied}
        entries.append((*entry[:2], options) if copied else entry)
    return tuple(entries)


def _local_records(data: ConfigDict, *, scale: int, splits: Collection[str]) -> str:
    """The folder of records for data.records: first what describes the data set, then the shards of `splits`."""
    if url_scheme(data.records) is None:
        return str(data.records)
    name, records = record_name(data.dataset, scale=scale), str(data.records).rstrip("/")
    try:
        with open_copy(f"{records}/{name}") as copy:
            if not any(path.endswith("/dataset_info.json") for path in copy.folder.objects):
                raise MissingData("no dataset_info.json in its folders")
            copy.fetch(lambda path: re.fullmatch(r"[^/]+/[^/]+\.json", path) is not None)
            local = str(copy.path).removesuffix(f"/{name}")
            own = data.copy_and_resolve_references()
            own.records = local
            version = find_records(local, name).name
            parts = {part for split in splits for part in _parts(own, split, scale)}
            pattern = rf"{re.escape(version)}/[^/]+-({'|'.join(map(re.escape, sorted(parts)))})\.tfrecord-\d+-of-\d+"
            copy.fetch(lambda path: re.fullmatch(pattern, path) is not None)
    except MissingData as error:
        raise MissingData(
            f"data.records={records} has no prepared data set {name!r} ({error}): write it on a disk with "
            "`python -m input_pipeline.prepare`, then copy the folder to the bucket"
        ) from error
    return local


def _parts(data: ConfigDict, split: str, scale: int) -> tuple[str, ...]:
    """The builder's names of the splits that a split reads."""
    try:
        part = record_split(data, split, scale=scale)
    except MissingData:
        raise
    except UserError:
        return ()  # opening the split raises an error that lists those that exist
    return part, f"{part}_reference"
