"""Handles SIGTERM, which clusters send before they reclaim a machine, and SIGINT (Ctrl-C): the run saves and ends.

The first signal sets a flag that the loop reads between steps. A second signal of either kind has its default action
and ends the process immediately.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TypeAlias

import jax
from jax.experimental import multihost_utils

SIGNALS = (signal.SIGTERM, signal.SIGINT)
STDERR = 2
Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None  # as `signal.signal` takes and returns it


class Preemption:
    """A context that catches the first SIGTERM or SIGINT and reports it in `requested`.

    A signal that the process ignores, such as SIGINT in a job that a shell script starts in the background, stays
    ignored. In a run of several processes, jax.distributed catches SIGTERM and chooses the step at which all stop;
    SIGINT at one of them is passed on as SIGTERM.
    """

    def __init__(self) -> None:
        self.signal_name = "SIGTERM"  # the signal that was received
        self._received = False
        # Several processes must stop at the same step: jax.distributed catches the signal and agrees on one.
        self._alone = jax.process_count() == 1
        self._catches = threading.current_thread() is threading.main_thread()
        self._before: dict[signal.Signals, Handler] = {}

    def __enter__(self) -> Preemption:
        if self._catches:
            signals = SIGNALS if self._alone else (signal.SIGINT,)
            caught = [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._record) for number in caught}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def requested(self, step: int) -> bool:
        """Whether the run should end at `step`; the same in all processes."""
        return self._received if self._alone else multihost_utils.reached_preemption_sync_point(step)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self._received, self.signal_name = True, signal.Signals(number).name
        for caught in self._before:
            signal.signal(caught, signal.SIG_DFL)
        # Not through the logger, which this signal may have interrupted.
        note = f"{self.signal_name}: the run ends after this step, with a checkpoint; a second signal ends it at once\n"
        os.write(STDERR, note.encode())
        if not self._alone:
            os.kill(os.getpid(), signal.SIGTERM)
