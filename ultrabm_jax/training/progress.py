"""Progress of a run on standard error: a bar in a terminal, log lines elsewhere."""

from __future__ import annotations

import datetime
import logging
import sys
import time

from tqdm import tqdm

from ultrabm_jax.logging import logger


class Progress:
    """Steps, loss, images per second and time left; shown if the logger shows INFO records."""

    def __init__(self, *, start: int, total: int) -> None:
        self._total = total
        self._step, self._images, self._since = start, 0, time.monotonic()
        terminal = sys.stderr.isatty() and logger.isEnabledFor(logging.INFO)
        self._bar = tqdm(initial=start, total=total, unit="step", dynamic_ncols=True) if terminal else None

    def advance(self, images: int) -> None:
        """Counts one finished step over `images` examples."""
        self._images += images
        if self._bar is not None:
            self._bar.update()

    def report(self, step: int, loss: float) -> float:
        """Shows the loss at `step`; returns images per second since the last report."""
        elapsed = max(time.monotonic() - self._since, 1e-9)
        rate, steps = self._images / elapsed, step - self._step
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.4f}, {rate:.1f} images/s")
        elif steps:
            left = datetime.timedelta(seconds=round((self._total - step) * elapsed / steps))
            logger.info(f"step {step}/{self._total}  loss {loss:.4f}  {rate:.1f} images/s  {left} left")
        self.restart(step)
        return rate

    def restart(self, step: int) -> None:
        """Excludes the time since the last report, spent on evaluation or a checkpoint, from the rates."""
        self._step, self._images, self._since = step, 0, time.monotonic()

    def exclude(self, seconds: float) -> None:
        """Excludes `seconds` that have passed since the last report from the rates."""
        self._since += seconds

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
