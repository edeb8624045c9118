"""Restores images of any size: whole if they fit, otherwise in tiles.

Whole: the network pads and crops by itself. It is compiled for the first image size; images of other sizes share a
canvas (canvases.py). `expect` announces the sizes, so that a folder needs few programs.

Tiles: some networks use statistics of the whole image (UltraBM: softmax-pooled context, channel attention over all
positions, mean pooling). With separate statistics, neighbouring tiles would differ in brightness and colour. Therefore
a preview of the whole image, shrunk with antialiasing to the number of pixels of one tile, is restored first; layers
record their statistics in the Flax collection "statistics", and all tiles use them. Apart from that, tiles are
independent. The statistics of the preview are an estimate, because shrinking removes part of the noise.

Host memory, in addition to the image: one float32 output, 12 bytes per output pixel. The windows of the tiles sum to
one by construction, so no array of weights is needed.

Several images of one size (`many`) are restored on all devices of this process at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, overload

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.resize import resize
from ultrabm_jax.inference.canvases import Size
from ultrabm_jax.inference.images import FilePath, PillowImage, restore_as_given, restore_batch
from ultrabm_jax.inference.progress import TileProgress
from ultrabm_jax.inference.sized_program import SizedProgram
from ultrabm_jax.inference.tiles import plan_axis
from ultrabm_jax.models.task import Task
from ultrabm_jax.typing import Batch, HostBatch, Variables

T = TypeVar("T", np.ndarray, jax.Array, PillowImage)


class Restorer:
    """Restores images with one network: `restorer(image)`; `.scale` is its enlargement.

    devices: the first restores single images, and all together a batch; None: those of this process.
    tile: images of more than tile**2 low pixels are cut into tiles of at most that side; None: the task's; 0: never.
    overlap: low pixels that neighbouring tiles share at least; None: the task's.
    exact: compile each image size separately, so that a result does not depend, by rounding, on the sizes before it.
    """

    def __init__(
        self,
        task: Task,
        variables: Variables,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        devices: Sequence[jax.Device] | None = None,
        exact: bool = False,
    ) -> None:
        self.task = task
        self.tile = task.tile if tile is None else tile
        self.overlap = task.overlap if overlap is None else overlap
        if self.tile < 0 or self.overlap < 0:
            raise UserError(f"tile and overlap are pixels, 0 or more: tile={self.tile}, overlap={self.overlap}")
        if self.tile:
            plan_axis(1, self.tile, self.overlap, task.multiple)  # raises early if tile and overlap do not fit
        # `init` fills every collection; statistics of its example input must not be used for the image.
        variables = task.prepare({name: v for name, v in variables.items() if name != "statistics"})
        devices = list(devices or jax.local_devices())
        self._variables = jax.device_put(variables, devices[0])
        self._restore = SizedProgram(self._restore_one, task, tile=self.tile, exact=exact)
        self._record = SizedProgram(self._record_one, task, tile=self.tile, exact=exact, quiet=True)
        self._devices = len(devices)
        if self._devices > 1:
            mesh = Mesh(np.array(devices), ("device",))
            self._everywhere = jax.device_put(variables, NamedSharding(mesh, PartitionSpec()))
            self._restore_on_each = jax.jit(_one_on_each_device(self._restore_one, mesh))
        self.scale = task.scale

    def _restore_one(self, variables: Variables, statistics: Variables, inputs: Batch) -> jax.Array:
        batch = {name: value[None] for name, value in inputs.items()}
        return self.task.restore({**variables, **statistics}, batch)[0]

    def _record_one(self, variables: Variables, statistics: Variables, inputs: Batch) -> Variables:
        return self.task.statistics(variables, {"low": inputs["low"][None]})

    def expect(self, sizes: Iterable[Size]) -> None:
        """Images of these sizes, (height, width), will follow. Without it the result is the same up to rounding."""
        self._restore.expect(size for size in sizes if not self._exceeds_tile(*size))

    @overload
    def __call__(self, image: FilePath) -> np.ndarray: ...
    @overload
    def __call__(self, image: T) -> T: ...
    @overload
    def __call__(self, image: list[T]) -> list[T]: ...
    @overload
    def __call__(self, image: list[FilePath] | list[str]) -> list[np.ndarray]: ...

    def __call__(self, image: object) -> object:
        """Restores an image or a batch, and returns what it was given; the sides are `scale` times as long.

        array        (h, w, 3), or a batch (b, h, w, 3): uint8 -> uint8, float in [0, 1] -> float32
        PIL image    -> PIL image, 8 bits, upright; a gray one stays gray, and transparency is enlarged
        path         -> uint8 array (h, w, 3), or (h, w, 4) with transparency; gray images stay gray
        list         -> list

        Networks for camera raw files take paths of such files, which are amplified automatically, and float arrays
        (h, w, 1) of amplified samples, 0 at black. Raises UserError for other types, shapes and ranges.
        """
        return restore_batch(self, image) if isinstance(image, list) else restore_as_given(self, image)

    def restore(
        self, low: np.ndarray, *, maps: HostBatch | None = None, statistics: Variables | None = None
    ) -> np.ndarray:
        """float32 (h, w, c) -> float32 (s*h, s*w, 3) in [0, 1]; the range of `low` is the task's and is not checked.

        maps: additional inputs (h, w, ...) of the network by name, cut into the same tiles.
        statistics: replace those of the preview; see `record`.
        """
        if low.ndim != 3 or low.shape[-1] != self.task.channels or not low.size:
            raise UserError(f"an image has the shape (height, width, {self.task.channels}), not {low.shape}")
        height, width = low.shape[:2]
        inputs = {name: self._prepared(value[None])[0] for name, value in {"low": low, **(maps or {})}.items()}
        if not self._needs_tiles(inputs["low"]):
            restored = np.array(self._restore(self._variables, statistics or {}, inputs))
        else:
            if statistics is None:
                shared = self.task.shares_statistics
                statistics = self.record(self.preview(inputs["low"])) if shared else {}
            restored = self._tiled(inputs, statistics)
        return restored[: height * self.scale, : width * self.scale]

    def many(self, lows: np.ndarray, *, maps: HostBatch | None = None) -> np.ndarray:
        """(b, h, w, c) -> (b, s*h, s*w, 3): the result of one call for each image, with one image on each device."""
        maps = maps or {}
        b, height, width = lows.shape[:3]
        if b == 1 or self._devices == 1 or self._needs_tiles(self._prepared(lows[:1])[0]):
            return np.stack(
                [self.restore(lows[i], maps={name: value[i] for name, value in maps.items()}) for i in range(b)]
            )
        inputs = {name: self._prepared(value) for name, value in {"low": lows, **maps}.items()}
        missing = -b % self._devices  # images that fill the last round
        filled = {name: np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) for name, x in inputs.items()}
        restored = []
        for start in range(0, b, self._devices):
            part = {name: x[start : start + self._devices] for name, x in filled.items()}
            restored.append(np.asarray(self._restore_on_each(self._everywhere, {}, part)))
        return np.concatenate(restored)[:b, : height * self.scale, : width * self.scale]

    def _prepared(self, images: np.ndarray) -> np.ndarray:
        return self.task.pad(np.asarray(images, np.float32))

    def _needs_tiles(self, low: np.ndarray) -> bool:
        return self._exceeds_tile(low.shape[0], low.shape[1])

    def _exceeds_tile(self, height: int, width: int) -> bool:
        return bool(self.tile) and height * width > self.tile**2

    def record(self, low: np.ndarray) -> Variables:
        """The whole-image statistics that the network computes from `low`; empty if it uses none."""
        recorded: Variables = self._record(self._variables, {}, {"low": low})
        return recorded

    def preview(self, low: np.ndarray) -> np.ndarray:
        """`low`, shrunk to at most the pixels of one tile."""
        height, width = low.shape[:2]
        factor = min(1.0, self.tile / math.sqrt(height * width))
        return resize(low, (max(1, int(height * factor)), max(1, int(width * factor))))

    def _tiled(self, inputs: HostBatch, statistics: Variables) -> np.ndarray:
        height, width = inputs["low"].shape[:2]
        rows, columns = (plan_axis(side, self.tile, self.overlap, self.task.multiple) for side in (height, width))
        padding = ((0, rows.size - height), (0, columns.size - width), (0, 0))
        inputs = {name: np.pad(value, padding, mode="reflect") for name, value in inputs.items()}
        s = self.scale
        tile_done = TileProgress(len(rows.starts) * len(columns.starts))
        restored = np.zeros((rows.size * s, columns.size * s, 3), np.float32)
        for top, fade_y in zip(rows.starts, rows.windows(s), strict=True):
            for left, fade_x in zip(columns.starts, columns.windows(s), strict=True):
                part = {name: x[top : top + rows.tile, left : left + columns.tile] for name, x in inputs.items()}
                tile = np.asarray(self._restore(self._variables, statistics, part))[: rows.tile * s, : columns.tile * s]
                area = restored[top * s : (top + rows.tile) * s, left * s : (left + columns.tile) * s]
                area += tile * (fade_y[:, None, None] * fade_x[:, None])
                tile_done()
        return np.clip(restored, 0.0, 1.0, out=restored)[: height * s, : width * s]


def _one_on_each_device(apply: Callable[..., jax.Array], mesh: Mesh) -> Callable[..., jax.Array]:
    """`apply` for (devices, h, w, c): every device runs the program of one image, so results are bitwise the same."""

    def on_one(variables: Variables, statistics: Variables, inputs: Batch) -> jax.Array:
        return apply(variables, statistics, {name: value[0] for name, value in inputs.items()})[None]

    whole, split = PartitionSpec(), PartitionSpec("device")
    return jax.shard_map(on_one, mesh=mesh, in_specs=(whole, whole, split), out_specs=split, check_vma=False)
