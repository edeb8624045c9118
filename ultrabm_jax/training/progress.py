"""What a person sees of a run: a bar in a terminal, plain lines in a log. Both go to standard error."""

from __future__ import annotations

import datetime
import sys
import time

from tqdm import tqdm


class Progress:
    """Steps, loss, images per second and time left. `say` prints a line without breaking the bar."""

    def __init__(self, *, start: int, total: int, silent: bool = False) -> None:
        self._total, self._silent = total, silent
        self._step, self._images, self._since = start, 0, time.monotonic()
        terminal = sys.stderr.isatty() and not silent
        self._bar = tqdm(initial=start, total=total, unit="step", dynamic_ncols=True) if terminal else None

    def advance(self, images: int) -> None:
        """One step over `images` examples is done."""
        self._images += images
        if self._bar is not None:
            self._bar.update()

    def report(self, step: int, loss: float) -> float:
        """Shows the loss at `step`; gives back images per second since the last report."""
        elapsed = max(time.monotonic() - self._since, 1e-9)
        rate, steps = self._images / elapsed, step - self._step
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.4f}, {rate:.1f} images/s")
        elif steps:
            left = datetime.timedelta(seconds=round((self._total - step) * elapsed / steps))
            self.say(f"step {step}/{self._total}  loss {loss:.4f}  {rate:.1f} images/s  {left} left")
        self.restart(step)
        return rate

    def restart(self, step: int) -> None:
        """Leaves out the time since the last report, which went into something else (evaluation, a checkpoint)."""
        self._step, self._images, self._since = step, 0, time.monotonic()

    def say(self, text: str) -> None:
        """One line."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif not self._silent:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
