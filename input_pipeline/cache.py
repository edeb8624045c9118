"""Decoded images kept in memory up to a limit; what does not fit is made again each time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

import numpy as np


class ArrayCache:
    """Thread-safe. Nothing is evicted: with a shuffled epoch every image is equally likely to be next."""

    def __init__(self, limit_bytes: int):
        self._free = limit_bytes
        self._kept: dict[Hashable, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of `key`, read-only; `make` runs outside the lock, at times twice for one key."""
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        array = make()
        array.flags.writeable = False
        with self._lock:
            if key not in self._kept and array.nbytes <= self._free:
                self._kept[key] = array
                self._free -= array.nbytes
        return array
