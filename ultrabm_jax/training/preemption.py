"""SIGTERM, by which clusters take a machine back: the run saves its state and ends, and the same command goes on later.

The first signal only sets a flag that the loop reads between two steps. The second is the system's and ends the process
at once, whatever it is doing.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

import jax
from jax.experimental import multihost_utils


class Preemption:
    """A context in which the first SIGTERM is kept for `asked`."""

    def __init__(self) -> None:
        self._came = False
        # Several processes must stop at one step: jax.distributed catches the signal and agrees on it.
        self._alone = jax.process_count() == 1
        self._catches = self._alone and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Preemption:
        if self._catches:
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._catches:
            signal.signal(signal.SIGTERM, self._before)

    def asked(self, step: int) -> bool:
        """Whether the run is to end at `step`; the same in all processes."""
        return self._came if self._alone else multihost_utils.reached_preemption_sync_point(step)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
