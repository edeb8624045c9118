"""Evaluation during training: mean scores over the evaluation images, and a few image panels for TensorBoard.

The images are distributed over all devices of all processes. Each device runs the single-device program, so the scores
of a state do not depend on the number of devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from PIL import Image

from input_pipeline import PairSource, eval_batches
from ultrabm_jax.image.write import as_uint8
from ultrabm_jax.metrics import compute
from ultrabm_jax.raw.cfa import cfa_of_period
from ultrabm_jax.raw.preview import mosaic_preview
from ultrabm_jax.training.distributed import allgather
from ultrabm_jax.training.feed import to_float
from ultrabm_jax.training.sharding import replicated
from ultrabm_jax.typing import Batch, HostBatch, InputKind, PyTree, Variables

Restore = Callable[[dict[str, PyTree], Batch], jax.Array]  # (variables, float batch) -> images


class Validation:
    """`validation(variables)` -> (scores, panels). `restore` is `Task.restore` of a float batch."""

    def __init__(self, restore: Restore, source: PairSource, mesh: Mesh) -> None:
        self._source, self._local = source, Mesh(np.array(jax.local_devices()), ("device",))
        self._gather = jax.jit(lambda variables: variables, out_shardings=replicated(mesh))
        whole, split = PartitionSpec(), PartitionSpec("device")
        self._restore = jax.jit(
            jax.shard_map(
                lambda variables, batch: restore(variables, to_float(batch, input_kind=source.input_kind)),
                mesh=self._local,
                in_specs=(whole, split),
                out_specs=split,
                check_vma=False,
            )
        )

    def __call__(
        self, variables: Variables, *, protocols: tuple[str, ...], count: int = 0, panels: int = 0
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """({"eval/PROTOCOL": mean over images}, {"panel/NAME": (1, s h, 3 s w, 3) low, restored and reference}).

        `count` 0 uses all images of the source. Scores are computed on 8-bit images and are the same in all processes;
        only the first process gets panels.
        """
        variables = self._replicate_locally(variables)
        total = min(count, len(self._source)) if count else len(self._source)
        scores = np.zeros((total, len(protocols)))
        images: dict[int, np.ndarray] = {}
        for index, image, restored in self._restored(variables, count=count):
            reference = as_uint8(image["reference"])
            if np.isfinite(restored).all():
                scores[index] = [float(np.asarray(compute(p, restored[None], reference[None]))[0]) for p in protocols]
            else:
                scores[index] = np.nan
            if index < panels:
                images[index] = _panel(image, restored, self._source.input_kind)
        if jax.process_index() == 0 and len(images) < min(panels, total):  # other processes restored the rest
            alone = self._restored(variables, count=panels, alone=True)
            kind = self._source.input_kind
            images = {index: _panel(image, restored, kind) for index, image, restored in alone}
        means = allgather(scores).sum(axis=0).mean(axis=0)
        named = {f"panel/{self._source.name(i)}": panel for i, panel in sorted(images.items())}
        return {f"eval/{name}": float(mean) for name, mean in zip(protocols, means, strict=True)}, named

    def _replicate_locally(self, variables: Variables) -> Variables:
        """Replicates variables that may be sharded over all devices on each device of this process."""
        here = NamedSharding(self._local, PartitionSpec())

        def local(x: jax.Array) -> jax.Array:
            parts = {shard.device: shard.data for shard in x.addressable_shards}
            return jax.make_array_from_single_device_arrays(x.shape, here, [parts[d] for d in self._local.devices])

        return jax.tree.map(local, self._gather(variables))

    def _restored(
        self, variables: Variables, *, count: int, alone: bool = False
    ) -> Iterator[tuple[int, HostBatch, np.ndarray]]:
        """(index, stored arrays, restored image) of this process's images, or of all images with `alone`."""
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
    """The low image as uint8 (h, w, 3); a preview of a mosaic, amplified by its exposure ratio."""
    low = image["low"]
    if kind == "rgb":
        return low
    stored = {name: image[name][None] for name in ("low", "black", "white")}
    mosaic = np.asarray(to_float(stored, input_kind=kind)["low"])
    return as_uint8(mosaic_preview(mosaic[0, ..., 0] * image["ratio"], cfa=cfa_of_period(image["black"].shape[-1])))
