"""Evaluation during training: mean scores over the evaluation images, and a few panels to look at.

All devices of all processes work at once, each on images of its own with the program that one device would run, so
the scores of a state do not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from PIL import Image

from ultrabm_jax.image.write import as_uint8
from ultrabm_jax.metrics import compute
from ultrabm_jax.raw.cfa import cfa_of_period
from ultrabm_jax.raw.preview import mosaic_preview
from ultrabm_jax.training.distributed import allgather
from ultrabm_jax.training.feed import to_float
from ultrabm_jax.training.sharding import replicated
from ultrabm_jax.typing import InputKind

Batch = dict[str, np.ndarray]


class Validation:
    """`validation(variables)` -> (scores, panels); `restore` is `Task.restore`, of a batch in floats."""

    def __init__(self, restore: Callable[[Any, dict[str, jax.Array]], jax.Array], source: Any, mesh: Mesh) -> None:
        self._source, self._local = source, Mesh(np.array(jax.local_devices()), ("device",))
        self._gather = jax.jit(lambda variables: variables, out_shardings=replicated(mesh))
        whole, split = PartitionSpec(), PartitionSpec("device")
        self._restore = jax.jit(
            jax.shard_map(
                lambda variables, batch: restore(variables, to_float(batch)),
                mesh=self._local,
                in_specs=(whole, split),
                out_specs=split,
                check_vma=False,
            )
        )

    def __call__(
        self, variables: Any, *, protocols: tuple[str, ...], count: int = 0, panels: int = 0
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """({"eval/PROTOCOL": mean over images}, {"panel/NAME": (1, s h, 3 s w, 3) low, restored and reference}).

        `count` 0 takes all images of the source. Scores are of 8-bit images, and the same in all processes; the
        first has the panels.
        """
        variables = self._replicate_locally(variables)
        total = min(count, len(self._source)) if count else len(self._source)
        scores = np.zeros((total, len(protocols)))
        images: dict[int, np.ndarray] = {}
        for index, image, restored in self._restored(variables, count=count):
            reference = as_uint8(image["reference"])
            scores[index] = [float(np.asarray(compute(p, restored[None], reference[None]))[0]) for p in protocols]
            if index < panels:
                images[index] = _panel(image, restored, self._source.input_kind)
        if jax.process_index() == 0 and len(images) < min(panels, total):  # other processes had the rest
            alone = self._restored(variables, count=panels, alone=True)
            kind = self._source.input_kind
            images = {index: _panel(image, restored, kind) for index, image, restored in alone}
        means = allgather(scores).sum(axis=0).mean(axis=0)
        named = {f"panel/{self._source.name(i)}": panel for i, panel in sorted(images.items())}
        return {f"eval/{name}": float(mean) for name, mean in zip(protocols, means, strict=True)}, named

    def _replicate_locally(self, variables: Any) -> Any:
        """Whole on each device of this process, out of what may be split over all."""
        here = NamedSharding(self._local, PartitionSpec())

        def local(x: jax.Array) -> jax.Array:
            parts = {shard.device: shard.data for shard in x.addressable_shards}
            return jax.make_array_from_single_device_arrays(x.shape, here, [parts[d] for d in self._local.devices])

        return jax.tree.map(local, self._gather(variables))

    def _restored(self, variables: Any, *, count: int, alone: bool = False) -> Iterator[tuple[int, Batch, np.ndarray]]:
        """(index, what is stored of the image, restored image) of this process's images; `alone`: of all."""
        from input_pipeline import eval_batches

        process, processes = (0, 1) if alone else (jax.process_index(), jax.process_count())
        size = self._local.size * processes
        for batch in eval_batches(
            self._source, batch_size=size, count=count, process_index=process, process_count=processes
        ):
            stored = {name: jnp.asarray(v) for name, v in batch.items() if name not in ("reference", "index", "mask")}
            restored = np.asarray(self._restore(variables, stored))
            for i in np.flatnonzero(batch["mask"]):
                yield int(batch["index"][i]), {name: value[i] for name, value in batch.items()}, restored[i]


def _panel(image: Mapping[str, np.ndarray], restored: np.ndarray, kind: InputKind) -> np.ndarray:
    reference = as_uint8(image["reference"])
    h, w = reference.shape[:2]
    enlarged = (
        np.asarray(Image.fromarray(_visible(image, kind)).resize((w, h), Image.Resampling.NEAREST), np.float32) / 255
    )
    return np.concatenate([enlarged, restored, reference.astype(np.float32) / 255], axis=1)[None]


def _visible(image: Mapping[str, np.ndarray], kind: InputKind) -> np.ndarray:
    """The low image as uint8 (h, w, 3); a mosaic amplified by its ratio and without the network."""
    low = image["low"]
    if kind == "rgb":
        return low
    stored = {name: image[name][None] for name in ("low", "black", "white")}
    mosaic = np.asarray(to_float(stored)["low"])
    return as_uint8(mosaic_preview(mosaic[0, ..., 0] * image["ratio"], cfa=cfa_of_period(image["black"].shape[-1])))
