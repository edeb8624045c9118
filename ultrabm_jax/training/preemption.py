"""Handles SIGTERM, which clusters send before they reclaim a machine: the run saves its state and ends.

The first signal sets a flag that the loop reads between steps. A second signal has its default action and ends the
process immediately.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

import jax
from jax.experimental import multihost_utils


class Preemption:
    """A context that catches the first SIGTERM and reports it in `requested`."""

    def __init__(self) -> None:
        self._received = False
        # Several processes must stop at the same step: jax.distributed catches the signal and agrees on one.
        self._alone = jax.process_count() == 1
        self._catches = self._alone and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Preemption:
        if self._catches:
            self._before = signal.signal(signal.SIGTERM, self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._catches:
            signal.signal(signal.SIGTERM, self._before)

    def requested(self, step: int) -> bool:
        """Whether the run should end at `step`; the same in all processes."""
        return self._received if self._alone else multihost_utils.reached_preemption_sync_point(step)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self._received = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
