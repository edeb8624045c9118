"""Reference arrays of this folder, with the tolerance of each. Large outputs are stored as every n-th value."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
INDEX = json.loads((FOLDER / "index.json").read_text())  # {file: {key: {"shape", "step", "tolerance"}}}


class Oracle:
    """One file of inputs and outputs: `oracle["x"]` is an input, `oracle.check("y", value)` compares an output."""

    def __init__(self, file: str):
        self.file = file
        # losses.npz is split in two, so that each file stays below 1 MiB.
        files = [name for name in (file, file.replace(".npz", "_odd.npz")) if name in INDEX]
        self.arrays = {key: value for name in files for key, value in np.load(FOLDER / name).items()}
        self.index = {key: entry for name in files for key, entry in INDEX[name].items()}

    def __getitem__(self, key: str) -> np.ndarray:
        if self.index[key]["step"] != 1:
            raise KeyError(f"{self.file}:{key} is stored as every {self.index[key]['step']}-th value; use check()")
        return self.arrays[key]

    def keys(self) -> list[str]:
        return list(self.index)

    def check(self, key: str, got: np.ndarray) -> float:
        """Largest absolute difference; raises AssertionError beyond the tolerance or for another shape."""
        entry, want, got = self.index[key], self.arrays[key].astype(np.float64), np.asarray(got, np.float64)
        assert got.shape == tuple(entry["shape"]), (self.file, key, got.shape, entry["shape"])
        difference = float(np.max(np.abs(got.reshape(-1)[:: entry["step"]] - want.reshape(-1))))
        tolerance = entry["tolerance"]
        assert difference <= tolerance, f"{self.file}:{key} max|d| {difference:.3e} > {tolerance:.3e}"
        return difference
