"""Evaluation during training: mean scores over the evaluation images, and a few image panels for TensorBoard.

The images are distributed over all devices of all processes. Each device runs the single-device program, so the scores
of a state do not depend on the number of devices.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from PIL import Image

from input_pipeline import PairSource, eval_batches
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.write import as_uint8
from ultrabm_jax.logging import logger
from ultrabm_jax.metrics import compute
from ultrabm_jax.metrics.scoring import NONFINITE, UNDEFINED
from ultrabm_jax.raw.cfa import cfa_of_period
from ultrabm_jax.raw.rendering import mosaic_preview
from ultrabm_jax.storage.assets import MissingAsset
from ultrabm_jax.training.distributed import allgather, allgather_bytes
from ultrabm_jax.training.feed import to_float
from ultrabm_jax.training.sharding import replicated
from ultrabm_jax.typing import Batch, HostBatch, InputKind, PyTree, Variables

TRANSIENT = {NONFINITE, UNDEFINED}  # reasons that may vanish while the network trains

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

        A mixture also has the mean of each member, {"eval/PROTOCOL/MEMBER": mean over its images}.

        `count` 0 uses all images of the source. Scores are computed on 8-bit images and are the same in all processes;
        only the first process gets panels. An image that cannot be read or has no score is named in a warning, and the
        mean is over the others; nan if every restored image is non-finite or has an undefined value.

        Raises UserError if no image has a score for another reason, such as its size, and MissingAsset if a protocol's
        data are missing.
        """
        variables = self._replicate_locally(variables)
        total = min(count, len(self._source)) if count else len(self._source)
        scores = np.zeros((total, len(protocols)))
        images: dict[int, np.ndarray] = {}
        problems: dict[int, str] = {}
        unreadable: dict[int, str] = {}
        for index, image, restored in self._restored(variables, unreadable, count=count):
            scores[index], reasons = _score(restored, as_uint8(image["reference"]), protocols)
            if reasons:
                problems[index] = "; ".join(reasons)
            if index < panels:
                images[index] = _panel(image, restored, self._source.input_kind)
        if jax.process_index() == 0 and len(images) < min(panels, total):  # other processes restored the rest
            alone = self._restored(variables, {}, count=panels, alone=True)
            kind = self._source.input_kind
            images = {index: _panel(image, restored, kind) for index, image, restored in alone}
        scores[list(unreadable)] = np.nan
        scores = allgather(scores).sum(axis=0)
        self._report(scores, problems | unreadable, protocols)
        means = {f"eval/{name}": float(mean) for name, mean in zip(protocols, mean_scores(scores), strict=True)}
        named = {f"panel/{self._source.name(i)}": panel for i, panel in sorted(images.items())}
        return means | self._member_means(scores, protocols), named

    def _member_means(self, scores: np.ndarray, protocols: Sequence[str]) -> dict[str, float]:
        """{"eval/PROTOCOL/MEMBER": mean over the member's images} of a mixture's scores (images, protocols)."""
        members = np.array([self._source.member(i) or "" for i in range(len(scores))])
        names = [name for name in dict.fromkeys(members.tolist()) if name]
        return {
            f"eval/{protocol}/{name}": float(mean)
            for name in names
            for protocol, mean in zip(protocols, mean_scores(scores[members == name]), strict=True)
        }

    def _report(self, scores: np.ndarray, problems: dict[int, str], protocols: Sequence[str]) -> None:
        """Warns of the images of all processes that lack a score; `problems`: those of this process."""
        by_process = [json.loads(part) for part in allgather_bytes(json.dumps(problems).encode())]
        reasons = {int(index): reason for part in by_process for index, reason in part.items()}
        for name, column in zip(protocols, scores.T, strict=True):
            scored = int((~np.isnan(column)).sum())
            if not scored and (lasting := set(reasons.values()) - TRANSIENT):
                raise UserError(f"evaluation: no image has a score under {name}: {min(lasting)}")
            if scored < len(column):
                logger.warning("evaluation: %s is the mean over %d of %d images", name, scored, len(column))
        for index, reason in sorted(reasons.items()):
            logger.warning("evaluation: %s: %s", self._source.name(index), reason)

    def _replicate_locally(self, variables: Variables) -> Variables:
        """Replicates variables that may be sharded over all devices on each device of this process."""
        here = NamedSharding(self._local, PartitionSpec())

        def local(x: jax.Array) -> jax.Array:
            parts = {shard.device: shard.data for shard in x.addressable_shards}
            return jax.make_array_from_single_device_arrays(x.shape, here, [parts[d] for d in self._local.devices])

        return jax.tree.map(local, self._gather(variables))

    def _restored(
        self, variables: Variables, unreadable: dict[int, str], *, count: int, alone: bool = False
    ) -> Iterator[tuple[int, HostBatch, np.ndarray]]:
        """(index, stored arrays, restored image) of this process's images, or of all images with `alone`.

        Adds those that cannot be read to `unreadable`.
        """
        process, processes = (0, 1) if alone else (jax.process_index(), jax.process_count())
        size = self._local.size * processes
        for batch in eval_batches(
            self._source,
            batch_size=size,
            count=count,
            process_index=process,
            process_count=processes,
            unreadable=unreadable,
        ):
            stored = {name: jnp.asarray(v) for name, v in batch.items() if name not in ("reference", "index", "mask")}
            restored = np.asarray(self._restore(variables, stored))
            for i in np.flatnonzero(batch["mask"]):
                yield int(batch["index"][i]), {name: value[i] for name, value in batch.items()}, restored[i]


def _score(restored: np.ndarray, reference: np.ndarray, protocols: Sequence[str]) -> tuple[list[float], list[str]]:
    """(the scores of a float image, nan where it has none; why). Raises MissingAsset."""
    if not np.isfinite(restored).all():
        return [math.nan] * len(protocols), [NONFINITE]
    scores: list[float] = []
    reasons: list[str] = []
    for name in protocols:
        try:
            scores.append(float(np.asarray(compute(name, restored[None], reference[None]))[0]))
        except MissingAsset:
            raise
        except UserError as error:
            scores.append(math.nan)
            reasons.append(str(error))
        else:
            reasons += [UNDEFINED] if math.isnan(scores[-1]) else []
    return scores, list(dict.fromkeys(reasons))


def mean_scores(scores: np.ndarray) -> np.ndarray:
    """(images, protocols) -> the mean of the scores of each protocol that are not nan; nan without any."""
    known = ~np.isnan(scores)
    sums, counts = np.where(known, scores, 0.0).sum(axis=0), known.sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


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
