"""Training batches from a source, by tf.data or by threads; both produce the same bits.

Batches keep the data set's integer type (uint8 or uint16), which takes a quarter of the bytes to copy and transfer; the
step converts them to floats on the device (ultrabm_jax/training/feed.py). Example (step, slot) is a pure function of
(seed, step, slot), so a run resumes from its step number alone, and each process makes only its own slots: process p of
n makes slots p*b .. (p+1)*b - 1 of b*n.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np

from input_pipeline.sampling import example_rng
from input_pipeline.sources.base import Example, PairSource, require_patch
from ultrabm_jax.errors import UserError
from ultrabm_jax.extras import missing_extra
from ultrabm_jax.typing import HostBatch

PREFETCH = 2  # batches prepared ahead

MakeExample = Callable[[int], Example]  # number -> example


def train_batches(
    source: PairSource,
    *,
    seed: int,
    start_step: int,
    stop_step: int,
    batch_size: int,
    patch_size: int,
    loader: str = "tfdata",
    workers: int = 4,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[HostBatch]:
    """Yields {"low": (b, p, p, c), "reference": (b, s*p, s*p, 3), ...} for each step of [start_step, stop_step).

    `batch_size` counts the examples of all processes; this process makes b = batch_size / process_count of them. The
    call itself raises UserError for wrong options and for images that are too small; an unreadable image raises when
    its batch is requested.
    """
    if loader not in LOADERS:
        raise UserError(f"data.loader={loader!r} is not known; choose one of: {', '.join(LOADERS)}, in_memory")
    if batch_size < 1 or batch_size % process_count:
        raise UserError(f"data.batch_size={batch_size} must be a positive multiple of the {process_count} processes")
    require_patch(source, patch_size)
    local = batch_size // process_count

    def make(number: int) -> Example:
        step, slot = divmod(number, local)
        return make_example(
            source, seed=seed, step=step, slot=process_index * local + slot, batch_size=batch_size, patch=patch_size
        )

    return LOADERS[loader](make, start_step, stop_step, local, max(1, workers))


def make_example(source: PairSource, *, seed: int, step: int, slot: int, batch_size: int, patch: int) -> Example:
    """The example that (seed, step, slot) defines, for every loader of the host."""
    i = source.draw(seed=seed, step=step, slot=slot, batch_size=batch_size)
    return source.crop(i, patch=patch, rng=example_rng(seed, step, slot))


def stack(examples: Sequence[Example]) -> HostBatch:
    """Stacks examples of equal shapes into a batch."""
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}


def _thread_batches(make: MakeExample, start: int, stop: int, local: int, workers: int) -> Iterator[HostBatch]:
    parts = _count_parts(local, workers)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="input")
    waiting: deque[list[Future[HostBatch]]] = deque()
    try:
        for step in range(start, stop + PREFETCH):
            if step < stop:
                waiting.append([pool.submit(_make_part, make, part, local // parts)
                                for part in range(step * parts, (step + 1) * parts)])  # fmt: skip
            if step >= start + PREFETCH:
                done = [future.result() for future in waiting.popleft()]
                yield {name: np.concatenate([part[name] for part in done]) for name in done[0]}
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _count_parts(local: int, workers: int) -> int:
    """The number of equal parts in which workers make a batch; handing over single examples would cost too much."""
    return max(parts for parts in range(1, min(local, workers) + 1) if local % parts == 0)


def _make_part(make: MakeExample, part: int, size: int) -> HostBatch:
    """Makes the examples part * size ... part * size + size - 1."""
    return stack([make(number) for number in range(part * size, (part + 1) * size)])


def _tfdata_batches(make: MakeExample, start: int, stop: int, local: int, workers: int) -> Iterator[HostBatch]:
    if start >= stop:
        return
    tf = _tensorflow()
    parts = _count_parts(local, workers)
    template = _make_part(make, start * parts, local // parts)  # all parts have its names, types and shapes
    failures: dict[int, Exception] = {}

    def attempt(number: np.ndarray) -> list[np.ndarray]:
        # TensorFlow would hide an exception in its own log, so exceptions bypass TensorFlow.
        try:
            part = _make_part(make, int(number), local // parts)
        except Exception as error:
            failures[int(number)] = error
            part = template
        return [part[name] for name in template]

    def tensors(number: Any) -> dict[str, Any]:  # Any: tf.Tensor, as TensorFlow is optional and has no types
        values = tf.numpy_function(attempt, [number], [value.dtype for value in template.values()])
        return {
            name: tf.ensure_shape(value, template[name].shape) for name, value in zip(template, values, strict=True)
        }

    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = workers
    options.autotune.enabled = False
    numbers = tf.data.Dataset.range(start * parts, stop * parts)
    batches = numbers.map(tensors, num_parallel_calls=workers, deterministic=True).batch(parts, drop_remainder=True)
    for step, batch in enumerate(batches.prefetch(PREFETCH).with_options(options).as_numpy_iterator(), start):
        for number in range(step * parts, (step + 1) * parts):
            if number in failures:
                raise failures[number]
        yield {name: value.reshape(local, *value.shape[2:]) for name, value in batch.items()}


def _tensorflow() -> ModuleType:
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UserError(f"{missing_extra('tensorflow', 'data.loader=tfdata')}, or use data.loader=threads") from error
    try:
        tf.config.set_visible_devices([], "GPU")  # the accelerator belongs to JAX
    except RuntimeError as error:  # TensorFlow is already initialised
        if tf.config.get_visible_devices("GPU"):
            raise UserError("TensorFlow already holds the GPU in this process; use data.loader=threads") from error
    return tf


LOADERS: dict[str, Callable[..., Iterator[HostBatch]]] = {"tfdata": _tfdata_batches, "threads": _thread_batches}
