"""Batches from a source, by tf.data or by plain threads; both give the same bits.

Batches hold what is stored, uint8 or uint16: a quarter of the bytes to copy and to send; the step makes floats of them
on the device (ultrabm_jax/training/feed.py). Example (step, slot) is a pure function of (seed, step, slot), so a run
resumes by its step alone, and each of several processes makes just its own slots: process p of n makes slots p*b ..
(p+1)*b - 1 of b*n.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from input_pipeline.sampling import example_rng, image_index
from input_pipeline.sources.base import Example, PairSource, require_patch
from ultrabm_jax.errors import UserError

AHEAD = 2  # batches prepared before they are asked for

Batch = dict[str, np.ndarray]


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
) -> Iterator[Batch]:
    """{"low": (b, p, p, c), "reference": (b, s*p, s*p, 3), ...} as stored, for each step of [start, stop).

    `batch_size` counts the examples of all processes; b = batch_size / process_count are made here. Wrong options
    and too small images are refused by the call itself, an unreadable image when its batch is asked for.
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
    """The one definition of what (seed, step, slot) shows."""
    i = image_index(seed, step * batch_size + slot, len(source))
    return source.crop(i, patch=patch, rng=example_rng(seed, step, slot))


def stack(examples: Sequence[Example]) -> Batch:
    """Examples of one shape -> a batch."""
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}


def _thread_batches(make: Callable[[int], Example], start: int, stop: int, local: int, workers: int) -> Iterator[Batch]:
    parts = _parts(local, workers)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="input")
    waiting: deque = deque()
    try:
        for step in range(start, stop + AHEAD):
            if step < stop:
                waiting.append([pool.submit(_part, make, part, local // parts)
                                for part in range(step * parts, (step + 1) * parts)])  # fmt: skip
            if step >= start + AHEAD:
                made = [future.result() for future in waiting.popleft()]
                yield {name: np.concatenate([part[name] for part in made]) for name in made[0]}
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _parts(local: int, workers: int) -> int:
    """Into how many equal parts a batch is cut for the workers: handing over single examples costs more than most."""
    return max(parts for parts in range(1, min(local, workers) + 1) if local % parts == 0)


def _part(make: Callable[[int], Example], part: int, size: int) -> Batch:
    """Examples part * size ... part * size + size - 1."""
    return stack([make(number) for number in range(part * size, (part + 1) * size)])


def _tfdata_batches(make: Callable[[int], Example], start: int, stop: int, local: int, workers: int) -> Iterator[Batch]:
    if start >= stop:
        return
    tf = _tensorflow()
    parts = _parts(local, workers)
    model = _part(make, start * parts, local // parts)  # its names, types and shapes are those of all
    failures: dict[int, Exception] = {}

    def attempt(number: np.ndarray) -> list[np.ndarray]:
        # TensorFlow would wrap an exception in a page of its own log: hand it round by the side instead.
        try:
            part = _part(make, int(number), local // parts)
        except Exception as error:
            failures[int(number)] = error
            part = model
        return [part[name] for name in model]

    def tensors(number: Any) -> dict[str, Any]:
        made = tf.numpy_function(attempt, [number], [value.dtype for value in model.values()])
        return {name: tf.ensure_shape(value, model[name].shape) for name, value in zip(model, made, strict=True)}

    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = workers
    options.autotune.enabled = False
    numbers = tf.data.Dataset.range(start * parts, stop * parts)
    batches = numbers.map(tensors, num_parallel_calls=workers, deterministic=True).batch(parts, drop_remainder=True)
    for step, batch in enumerate(batches.prefetch(AHEAD).with_options(options).as_numpy_iterator(), start):
        for number in range(step * parts, (step + 1) * parts):
            if number in failures:
                raise failures[number]
        yield {name: value.reshape(local, *value.shape[2:]) for name, value in batch.items()}


def _tensorflow() -> Any:
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UserError("data.loader=tfdata needs TensorFlow; use data.loader=threads without it") from error
    try:
        tf.config.set_visible_devices([], "GPU")  # the accelerator belongs to JAX
    except RuntimeError as error:  # somebody has started TensorFlow already
        if tf.config.get_visible_devices("GPU"):
            raise UserError("TensorFlow already holds the GPU in this process; use data.loader=threads") from error
    return tf


LOADERS: dict[str, Callable[..., Iterator[Batch]]] = {"tfdata": _tfdata_batches, "threads": _thread_batches}
