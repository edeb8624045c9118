"""One low image of any size -> one restored image; whole when it fits, in tiles when it does not.

Whole: the network is jitted per image size; it pads and crops by itself. A folder of equal sizes compiles once.

Tiles: UltraBM holds statistics of the whole image (softmax-pooled context, channel attention over all positions, mean
pooling). Were each tile to take its own, neighbouring tiles would differ in brightness and colour. So a preview of the
whole image, shrunk (antialiased) to the pixels of one tile, passes first; the layers record their statistics in the
flax collection "statistics", and every tile is then computed with these. A tile depends on the others in no other way.
The statistics of the preview are an estimate: shrinking removes part of the noise.

Memory on the host, beside the image: one float32 output, 12 bytes per output pixel. The windows of the tiles sum to
one by construction, so there is no array of weights.

Several images of one size (`many`) go to all devices of this process at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.resize import resize
from ultrabm_jax.inference.tiles import plan_axis

TILE = 640  # an image of up to 640 * 640 low pixels is restored whole
OVERLAP = 64
MULTIPLE = 16  # UltraBM pads to it and pools on it; HRNet's coarsest map is on 32


class Restorer:
    """`restorer(low)`: float32 (h, w, c) -> float32 (s*h, s*w, 3) in [0, 1]; c = 3 for photos in [0, 1]."""

    def __init__(
        self,
        model: nn.Module,
        variables: Mapping[str, Any],
        *,
        tile: int | None = None,
        overlap: int = OVERLAP,
        multiple: int = MULTIPLE,
        channels: int = 3,
    ) -> None:
        self.channels = channels
        self.tile, self.overlap, self.multiple = TILE if tile is None else tile, overlap, multiple
        if self.tile < 0 or overlap < 0:
            raise UserError(f"tile and overlap are pixels, 0 or more: tile={self.tile}, overlap={overlap}")
        if self.tile:
            plan_axis(1, self.tile, overlap, multiple)  # says now that the two do not fit each other
        # `init` makes every collection, and statistics of its example would be taken for the image's.
        variables = {name: v for name, v in variables.items() if name != "statistics"}
        devices = jax.local_devices()
        self._variables = jax.device_put(variables, devices[0])
        self._model = model
        self._restore = jax.jit(self._apply)
        self._record = jax.jit(self._apply_recording)
        self._devices = len(devices)
        if self._devices > 1:
            mesh = Mesh(np.array(devices), ("device",))
            self._everywhere = jax.device_put(variables, NamedSharding(mesh, PartitionSpec()))
            self._restore_on_each = jax.jit(_one_on_each_device(self._apply, mesh))
        self.scale = self._scale()

    def _apply(self, variables: Mapping[str, Any], statistics: Mapping[str, Any], low: jax.Array) -> jax.Array:
        out: Any = self._model.apply({**variables, **statistics}, low[None])
        return jnp.clip(out["restored"][0].astype(jnp.float32), 0.0, 1.0)

    def _apply_recording(self, variables: Mapping[str, Any], low: jax.Array) -> Mapping[str, Any]:
        _, recorded = self._model.apply(variables, low[None], mutable=["statistics"])
        return recorded

    def _scale(self) -> int:
        low = jax.ShapeDtypeStruct((self.multiple, self.multiple, self.channels), jnp.float32)
        return jax.eval_shape(self._apply, self._variables, {}, low).shape[0] // self.multiple

    def __call__(self, low: np.ndarray, *, statistics: Mapping[str, Any] | None = None) -> np.ndarray:
        """Restores one image; `statistics` (see `record`) replaces those of the preview."""
        if low.ndim != 3 or low.shape[-1] != self.channels or not low.size:
            raise UserError(f"an image has the shape (height, width, {self.channels}), not {low.shape}")
        low = np.asarray(low, np.float32)
        height, width = low.shape[:2]
        if not self.tile or height * width <= self.tile**2:
            return np.array(self._restore(self._variables, statistics or {}, low))
        return self._tiled(low, self.record(self.preview(low)) if statistics is None else statistics)

    def many(self, lows: np.ndarray, *, statistics: Mapping[str, Any] | None = None) -> np.ndarray:
        """(b, h, w, c) -> (b, s*h, s*w, 3): each image as a call of its own would give it, one on each device."""
        b, height, width = lows.shape[:3]
        if b == 1 or self._devices == 1 or (self.tile and height * width > self.tile**2):
            return np.stack([self(low, statistics=statistics) for low in lows])
        filled = np.concatenate([lows, np.repeat(lows[-1:], -b % self._devices, axis=0)]).astype(np.float32)
        parts = np.split(filled, len(filled) // self._devices)
        return np.concatenate(
            [np.asarray(self._restore_on_each(self._everywhere, statistics or {}, part)) for part in parts]
        )[:b]

    def record(self, low: np.ndarray) -> Mapping[str, Any]:
        """The statistics that the network takes from `low` as a whole; empty for a network that has none."""
        return self._record(self._variables, low)

    def preview(self, low: np.ndarray) -> np.ndarray:
        """`low`, shrunk to at most the pixels of one tile."""
        height, width = low.shape[:2]
        factor = min(1.0, self.tile / math.sqrt(height * width))
        return resize(low, (max(1, int(height * factor)), max(1, int(width * factor))))

    def _tiled(self, low: np.ndarray, statistics: Mapping[str, Any]) -> np.ndarray:
        height, width = low.shape[:2]
        rows = plan_axis(height, self.tile, self.overlap, self.multiple)
        columns = plan_axis(width, self.tile, self.overlap, self.multiple)
        padding = ((0, rows.size - height), (0, columns.size - width), (0, 0))
        low = np.pad(low, padding, mode="reflect")
        s = self.scale
        restored = np.zeros((rows.size * s, columns.size * s, 3), np.float32)
        for top, fade_y in zip(rows.starts, rows.windows(s), strict=True):
            for left, fade_x in zip(columns.starts, columns.windows(s), strict=True):
                part = low[top : top + rows.tile, left : left + columns.tile]
                tile = np.asarray(self._restore(self._variables, statistics, part))
                area = restored[top * s : (top + rows.tile) * s, left * s : (left + columns.tile) * s]
                area += tile * (fade_y[:, None, None] * fade_x[:, None])
        return np.clip(restored, 0.0, 1.0, out=restored)[: height * s, : width * s]


def _one_on_each_device(apply: Callable[..., jax.Array], mesh: Mesh) -> Callable[..., jax.Array]:
    """`apply` for (devices, h, w, c): every device runs the program of one image, so nothing is rounded otherwise."""

    def on_one(variables: Any, statistics: Any, lows: jax.Array) -> jax.Array:
        return apply(variables, statistics, lows[0])[None]

    whole, split = PartitionSpec(), PartitionSpec("device")
    return jax.shard_map(on_one, mesh=mesh, in_specs=(whole, whole, split), out_specs=split, check_vma=False)


def make_restorer(
    model: nn.Module,
    variables: Mapping[str, Any],
    *,
    tile: int | None = None,
    overlap: int = OVERLAP,
    multiple: int = MULTIPLE,
    channels: int = 3,
) -> Restorer:
    """A callable for images of any size.

    tile: images of more than tile**2 low pixels are cut into tiles of at most that side; None: 640; 0: never.
    overlap: low pixels that neighbouring tiles share at least.
    multiple: tiles start on this grid, which the pooling of the network asks for.
    channels: of the image; 1 for a mosaic.
    """
    return Restorer(model, variables, tile=tile, overlap=overlap, multiple=multiple, channels=channels)
