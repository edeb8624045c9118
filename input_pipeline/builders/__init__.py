"""TFDS builders, one file per data set. Importing this package imports neither TensorFlow nor TFDS; opening one does.

    python -m input_pipeline.prepare lol/v1 --data_dir RECORDS --manual_dir LOL      writes the records
    builder = open_builder("lol/v1", "RECORDS")                                      opens them

Plain TFDS knows a data set once its module is imported: `import input_pipeline.builders.lol; tfds.load("lol/v1", ...)`.

base.py holds the common base class, shards.py the plan of the shards, writing.py the writing processes.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from ultrabm_jax.errors import UserError
from ultrabm_jax.extras import missing_extra

if TYPE_CHECKING:
    from input_pipeline.builders.base import RecordBuilder

# name -> (module, class, default config or "")
BUILDERS = {
    "rellisur": ("rellisur", "Rellisur", "x2"),
    "lol": ("lol", "Lol", "v1"),
    "sid": ("sid", "Sid", "sony"),
    "darkface": ("darkface", "Darkface", ""),
    "dark_folder": ("dark_folder", "DarkFolder", ""),
    "photos": ("photos", "Photos", ""),
    "coco_dark": ("coco_dark", "CocoDark", ""),
}


def builder_class(name: str) -> type[RecordBuilder]:
    """The builder class of a data set; imports TFDS."""
    if name not in BUILDERS:
        raise UserError(f"data set {name!r} has no builder; choose one of: {', '.join(BUILDERS)}")
    module, kind, _ = BUILDERS[name]
    try:
        return getattr(importlib.import_module(f"{__name__}.{module}"), kind)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("tensorflow", "tensorflow_datasets"):
            raise
        raise UserError(missing_extra("tensorflow_datasets", "writing records")) from error


def open_builder(name: str, data_dir: str | Path, manual_dir: str | Path | None = None) -> RecordBuilder:
    """The builder of "lol", "lol/v1", ...; `manual_dir`, the downloaded data set, is needed only to write records."""
    dataset, _, config = name.partition("/")
    kind = builder_class(dataset)
    known = [choice.name for choice in kind.BUILDER_CONFIGS]
    config = config or BUILDERS[dataset][2]
    if config and config not in known:
        choices = ", ".join(f"{dataset}/{choice}" for choice in known) or dataset
        raise UserError(f"data set {name!r} is not known; choose one of: {choices}")
    builder = kind(data_dir=Path(data_dir).expanduser(), config=config or None)
    builder.source_dir = None if manual_dir is None else Path(manual_dir).expanduser()
    return builder
