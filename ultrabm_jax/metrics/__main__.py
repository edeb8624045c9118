"""Measures images that any program wrote: mean and standard deviation over images, by protocol.

    python -m ultrabm_jax.metrics RESTORED_DIR REFERENCE_DIR --protocols psnr_rgb ssim_rgb lpips_alex
    python -m ultrabm_jax.metrics RESTORED_DIR --protocols niqe_gray brisque --assets FOLDER
    python -m ultrabm_jax.metrics RESTORED_DIR --low LOW_DIR --protocols loe

Images are paired by name without extension and measured on 8 bit; nothing is resized or aligned in brightness
(psnr_gtmean_* and psnr_gtgc do, by their definition). The standard deviation is that of the population.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from ultrabm_jax.cli import enable_compilation_cache, progress, run
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import METRICS, find
from ultrabm_jax.metrics.folders import Measured, list_images, measure, pair, write_csv

DEFAULT = {
    "reference": ("psnr_rgb", "ssim_rgb", "rmse", "lpips_alex"),
    "none": ("niqe_gray",),
    "low": ("loe",),
}
FOLDER_OF = {"reference": "REFERENCE_DIR", "low": "--low LOW_DIR"}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = _parser().parse_args(argv)
    folders = {"restored": options.restored, "reference": options.reference, "low": options.low}
    listed = {kind: list_images(folder) for kind, folder in folders.items() if folder}
    protocols = options.protocols or _default(listed)
    for name in protocols:
        against = find(name)[0].against
        if against not in ("none", *listed):
            raise UserError(f"{name} compares with the {against} images: give {FOLDER_OF[against]}")
    names, notes = pair(listed["restored"], {kind: paths for kind, paths in listed.items() if kind != "restored"})
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    enable_compilation_cache()
    result = measure(progress(names, "image"), listed, protocols, assets=options.assets)
    print(table(result))
    if options.csv:
        write_csv(options.csv, result)
    return 0


def table(result: Measured) -> str:
    """A line for each protocol."""
    width = max(map(len, result.values))
    lines = [f"{len(result.images)} images".ljust(width) + f"{'mean':>13}{'std':>13}"]
    for name, values in result.values.items():
        if name in result.unavailable:
            lines.append(f"{name.ljust(width)}  not available: {result.unavailable[name]}")
        else:
            better = "higher" if find(name)[0].higher_is_better else "lower"
            spread = np.std(values) if np.isfinite(values).all() else np.nan
            lines.append(f"{name.ljust(width)}{np.mean(values):13.4f}{spread:13.4f}  {better} is better")
    return "\n".join(lines)


def _default(listed: dict[str, dict]) -> tuple[str, ...]:
    """What can be measured with the folders given."""
    chosen = tuple(name for kind in ("reference", "low") if kind in listed for name in DEFAULT[kind])
    return chosen or DEFAULT["none"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ultrabm_jax.metrics",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog=f"protocols: {', '.join(METRICS)}; each also with _crop4 and the like (pixels cut from every side)",
    )
    parser.add_argument("restored", metavar="RESTORED_DIR", help="folder of the images to measure")
    parser.add_argument("reference", metavar="REFERENCE_DIR", nargs="?", help="folder of the references")
    parser.add_argument("--protocols", nargs="+", metavar="NAME", help="default: what the given folders allow")
    parser.add_argument("--low", metavar="LOW_DIR", help="folder of the low-light inputs, for loe and loe_100")
    parser.add_argument("--csv", metavar="FILE", help="writes the value of each image")
    parser.add_argument("--assets", metavar="FOLDER", help="searched first for learned data, as $ULTRABM_ASSETS")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
