"""Restores images on a local page: `ultrabm-jax app`, then open the printed address in a browser.

The page is served on this machine only, unless --host says otherwise, and loads nothing from the internet. Uploaded and
restored files are kept in a temporary folder, which is deleted at the end.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from ultrabm_jax.cli import command_parser, enable_compilation_cache, require_devices, run
from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.extras import missing_extra
from ultrabm_jax.logging import logger

MAX_PORT = 65535


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser("ultrabm-jax app", __doc__)
    flags.add_argument("--host", default="127.0.0.1", help="address to serve; 0.0.0.0: to all who reach this machine")
    flags.add_argument("--port", type=int, help="default: the first free one from 7860")
    flags.add_argument(
        "--workdir",
        action="append",
        default=[],
        help="also offer this run (folder or gs:// URL); may be repeated",
    )
    return flags


def main(argv: Sequence[str] | None = None) -> int:
    """Serves the page until it is interrupted."""
    args = parser().parse_args(argv)
    if importlib.util.find_spec("gradio") is None:
        raise UserError(missing_extra("gradio", "the page"))
    check_address(args.host, args.port)
    enable_compilation_cache()
    require_devices()
    with tempfile.TemporaryDirectory(prefix="ultrabm_jax_") as folder:
        # Gradio reads these when it is imported and when it stores an upload.
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder) / "uploads")
        from ultrabm_jax.app.models import Models
        from ultrabm_jax.app.page import launch

        try:
            page = launch(Models(args.workdir), Path(folder) / "restored", host=args.host, port=args.port)
        except OSError as error:
            raise UserError(f"the page cannot be served: {first_line(error)}") from error
        terminated = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: terminated.set())  # its default would leave the folder
        logger.info(f"the page is at {page.local_url} (Ctrl-C stops it)")
        try:
            terminated.wait()
        finally:
            page.close(verbose=False)
    return 0


def check_address(host: str, port: int | None) -> None:
    """Raises UserError if this machine cannot serve `host`, or `port` if it is given.

    Gradio takes any error of an address for a port that is taken, and tries a hundred others for minutes.
    """
    if port is not None and not 1 <= port <= MAX_PORT:
        raise UserError(f"--port is from 1 to {MAX_PORT}, not {port}")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(address)
    except OSError as error:
        where = host if port is None else f"{host}, port {port},"
        raise UserError(f"the page cannot be served at {where} ({error.strerror})") from error


if __name__ == "__main__":
    sys.exit(run(main))
