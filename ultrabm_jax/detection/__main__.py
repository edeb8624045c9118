"""Measures how well a detector works on dark, restored and reference images.

    python -m ultrabm_jax.detection --detector nanodet.onnx --description nanodet --output OUT \
        --images dark=DIR restored=DIR reference=DIR [--annotations FILE_OR_FOLDER]

The folders contain the same images under the same names. `eval.py --config.eval.images=all` writes such folders for all
methods, and --evaluation takes all of them. Without --annotations, the detections on the references with a score above
--truth-confidence are the true boxes (RED's protocol), and the names of the scores end in `_pseudo_gt70`.

Writes the table as Markdown, LaTeX and CSV, the detections of each method, and index.html with the boxes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ultrabm_jax.cli import command_parser, local_name, local_path, named_paths, run
from ultrabm_jax.detection.compare import compare, write_files
from ultrabm_jax.detection.description import PRESETS, read_description
from ultrabm_jax.detection.detector import Detector
from ultrabm_jax.detection.methods import BATCH
from ultrabm_jax.detection.page import write_page
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.written_images import FOLDER, INPUT, REFERENCE
from ultrabm_jax.image.write import check_folder
from ultrabm_jax.metrics.score_table import text_scores


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    args = _parser().parse_args(argv)
    folders = (evaluated_folders(args.evaluation) if args.evaluation else {}) | named_paths(args.images, "--images")
    if REFERENCE in folders:
        folders[REFERENCE] = folders.pop(REFERENCE)  # last; `ap_gain` is the difference from the first
    results = named_paths(args.results, "--results")
    for flag in ("confidence", "truth_confidence"):
        if not 0 <= getattr(args, flag) < 1:
            raise UserError(f"--{flag.replace('_', '-')} is from 0 to 1, not {getattr(args, flag)}")
    if args.batch < 1:
        raise UserError(f"--batch is at least 1, not {args.batch}")
    detector = None
    if args.detector is not None:
        detector = Detector(args.detector, read_description(args.description), threads=1)
    check_folder(args.output)
    comparison = compare(
        detector,
        folders,
        results=results,
        annotations=args.annotations,
        truth_confidence=args.truth_confidence,
        confidence=args.confidence,
        batch=args.batch,
    )
    source = "result files" if detector is None else f"{Path(args.detector).name} ({args.description})"
    write_files(args.output, comparison, detector=source)
    write_page(args.output / "index.html", comparison, detector=source)
    print(text_scores(comparison.scores, dict.fromkeys(comparison.columns, True)))
    print(f"truth: {comparison.truth_name}, {comparison.objects} objects in {len(comparison.truth)} images")
    if comparison.detected:
        rate = comparison.detected / comparison.seconds
        print(f"detector: {comparison.detected} images in {comparison.seconds:.1f} s, {rate:.1f} images/s")
    print(f"page: {args.output / 'index.html'}")
    return 0


def evaluated_folders(evaluation: Path) -> dict[str, str]:
    """{method: folder} of an evaluation with eval.images=all: the input, then the methods by name."""
    root = evaluation / FOLDER
    found = sorted(path for path in root.glob("*") if path.is_dir())
    if not found:
        raise UserError(f"{root}: no images of methods; run eval.py with --config.eval.images=all")
    return {path.name: str(path) for path in sorted(found, key=lambda path: (path.name != INPUT, path.name))}


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("python -m ultrabm_jax.detection", __doc__)
    parser.add_argument(
        "--images",
        type=local_name,
        nargs="+",
        default=[],
        metavar="NAME=DIR",
        help="folders; `reference`: the bright images",
    )
    parser.add_argument("--evaluation", type=local_path, metavar="DIR", help="output folder of eval.py with images=all")
    parser.add_argument(
        "--results", type=local_name, nargs="+", default=[], metavar="NAME=FILE", help="detections by any other program"
    )
    parser.add_argument("--detector", type=local_name, metavar="FILE", help="ONNX file")
    parser.add_argument(
        "--description", type=local_name, default="nanodet", help=f"{', '.join(PRESETS)}, or a JSON file (docs)"
    )
    parser.add_argument(
        "--annotations", type=local_name, metavar="PATH", help="COCO JSON, or a folder of ExDark or DARK FACE files"
    )
    parser.add_argument("--confidence", type=float, default=0.3, help="of precision, recall and IoU; default .3")
    parser.add_argument("--truth-confidence", type=float, default=0.7, help="of pseudo ground truth; default .7")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"images per run of the detector; default {BATCH}")
    parser.add_argument("--output", required=True, type=local_path, help="folder of the results")
    return parser


if __name__ == "__main__":
    sys.exit(run(lambda: main()))
