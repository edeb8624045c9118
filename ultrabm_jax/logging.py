"""The logger of the package, and the handler with which command lines show it on standard error.

As a library, the package logs to `logging.getLogger("ultrabm_jax")` and configures nothing, so by Python's defaults
warnings and errors are printed and progress is not. Command lines call `configure_logging`.
"""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger("ultrabm_jax")

PREFIXES = {logging.WARNING: "warning: ", logging.ERROR: "error: "}


class StderrHandler(logging.Handler):
    """Prints each record as one line, above a progress bar if standard error is a terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = PREFIXES.get(record.levelno, "") + self.format(record)
            if sys.stderr.isatty():
                from tqdm import tqdm

                tqdm.write(line, file=sys.stderr)
            else:
                print(line, file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


def configure_logging() -> None:
    """Shows the package's records from INFO on. Calling it again changes nothing."""
    if not any(isinstance(handler, StderrHandler) for handler in logger.handlers):
        logger.addHandler(StderrHandler())
        logger.setLevel(logging.INFO)
        logger.propagate = False  # absl and pytest have handlers of their own at the root
