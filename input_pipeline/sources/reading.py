"""Reads the images of one data set, and logs what the reader converted or left out once for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ultrabm_jax.image import Region, read_rgb_uint8
from ultrabm_jax.logging import logger


@dataclass(frozen=True)
class NotedReader:
    """`read_rgb_uint8` that logs each note, such as a colour profile that is not applied, with the first such file."""

    first: dict[str, Path] = field(default_factory=dict)

    def __call__(self, path: Path, *, region: Region | None = None) -> np.ndarray:
        return read_rgb_uint8(path, region=region, note=partial(self._log, path))

    def _log(self, path: Path, note: str) -> None:
        if self.first.setdefault(note, path) is path:  # atomic: readers run in several threads
            logger.info("note: %s: %s (logged once for this data set)", path, note)
