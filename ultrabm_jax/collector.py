"""Python's garbage collector, which takes up to a quarter of the processor time of restoring one small photo.

It visits every object several times while modules are imported, and once more when the process ends; almost none of
them is garbage. Only objects in reference cycles need it.
"""

from __future__ import annotations

import atexit
import gc
import threading

_paused = threading.Event()


def pause_collector() -> None:
    """Collects no garbage until `resume_collector`, and none when the process ends. For the start of a command."""
    _paused.set()
    gc.disable()
    atexit.register(gc.freeze)


def resume_collector() -> None:
    """Collects garbage again, except the objects that exist now. Does nothing unless `pause_collector` was called."""
    if _paused.is_set():
        _paused.clear()
        gc.freeze()
        gc.enable()
