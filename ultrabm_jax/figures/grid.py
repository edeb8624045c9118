"""Draws methods side by side, one row for each image, with enlarged regions, scores, charts and boxes.

    python -m ultrabm_jax.figures grid input=LOW zero_dce=A ours=B reference=HIGH --output FIGURE.png
    python -m ultrabm_jax.figures grid EVALUATION --scores psnr_rgb ssim_rgb --below difference --output FIGURE.png

Makes Figures 2b, 5, 6 (--below difference), 7 (--below density), 8, 9 (--images of one scene at several exposures) and
10 of UltraBM; 1, 4, 5 and 7 (--detections) of DRGN; 1, 4, 5, 6, 7 (--detections) and 9 of RED. Regions are chosen by
rule (report/regions.py) unless --crop states them: X,Y,SIDE in pixels of the output.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ultrabm_jax.cli import local_name, local_path
from ultrabm_jax.detection.boxes import Detections
from ultrabm_jax.detection.methods import read_detections
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.written_images import INPUT, REFERENCE, folder_name
from ultrabm_jax.figures import methods
from ultrabm_jax.figures.cells import (
    COLOURS,
    GAP,
    MARKS,
    Rectangle,
    beside,
    blank,
    fit_width,
    outlined,
    stacked,
    text_cell,
)
from ultrabm_jax.figures.panels import PANELS, draw_panel
from ultrabm_jax.metrics.registry import find
from ultrabm_jax.metrics.score_table import digits_of
from ultrabm_jax.metrics.scoring import score_image
from ultrabm_jax.report.regions import Region, choose_regions, scale_of, textured_row

LABEL = 16  # pixels of the methods' names
DARK_COLOUR = (37, 99, 235)  # of the marked row


@dataclass(frozen=True)
class Scene:
    """One row: {method: image (h, w, 3) uint8}, {method: line below it}, {method: detections in its pixels}."""

    name: str
    images: Mapping[str, np.ndarray]
    captions: Mapping[str, str] = field(default_factory=dict)
    detections: Mapping[str, Detections] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """How a grid is drawn. `crops` is the number of regions chosen by rule, or the regions; `row` None: by rule."""

    model: str
    width: int = 240  # pixels of an image
    crops: int | Sequence[Region] = 2
    below: Sequence[str] = ()
    row: int | None = None
    names: bool = True


def draw_grid(scenes: Sequence[Scene], layout: Layout) -> np.ndarray:
    """Scenes with the same methods -> the figure."""
    titles = beside([text_cell(method, layout.width, size=LABEL) for method in scenes[0].images])
    blocks = [_draw_scene(scene, layout) for scene in scenes]
    return stacked([titles, *blocks], gap=3 * GAP)


def _draw_scene(scene: Scene, layout: Layout) -> np.ndarray:
    height, width = scene.images[layout.model].shape[:2]
    regions = _regions(scene.images, layout)
    row = layout.row if layout.row is not None else textured_row(regions, height)
    if not 0 <= row < height:
        raise UserError(f"--row {row}: the image {scene.name} has rows 0 to {height - 1}")
    lined = any(kind in ("profile", "difference") for kind in layout.below)
    columns: dict[str, list[np.ndarray]] = {}
    for method, image in scene.images.items():
        marks = _region_marks(regions, layout.width / width)
        if lined:
            at = row * layout.width / width
            marks.append(Rectangle(at - 1, 0, at + 1, layout.width, DARK_COLOUR))
        marks += _box_marks(scene.detections.get(method), layout.width / image.shape[1])
        columns[method] = [outlined(fit_width(image, layout.width), marks)]
    for method, image in scene.images.items():
        if regions:
            columns[method].append(_crops(image, regions, scale_of(image, scene.images[layout.model]), layout.width))
        if scene.captions:
            columns[method].append(text_cell(scene.captions.get(method, ""), layout.width))
    for kind in layout.below:
        cells = draw_panel(kind, scene.images, model=layout.model, row=row, width=layout.width)
        empty = blank(len(next(iter(cells.values()))), layout.width)
        for method, cells_above in columns.items():
            cells_above.append(cells.get(method, empty))
    grid = beside([stacked(cells) for cells in columns.values()])
    return (
        stacked([text_cell(scene.name, grid.shape[1], size=12, centred=False), grid], gap=1) if layout.names else grid
    )


def _regions(images: Mapping[str, np.ndarray], layout: Layout) -> tuple[Region, ...]:
    if not isinstance(layout.crops, int):
        height, width = images[layout.model].shape[:2]
        for region in layout.crops:
            if region.side < 1 or not (0 <= region.y <= height - region.side and 0 <= region.x <= width - region.side):
                raise UserError(f"--crop {region.x},{region.y},{region.side}: outside an image of {width}x{height}")
        return tuple(layout.crops)
    if not layout.crops:
        return ()
    return choose_regions({INPUT: next(iter(images.values())), **images}, layout.model)[: layout.crops]


def _region_marks(regions: Sequence[Region], ratio: float) -> list[Rectangle]:
    marks = []
    for k, r in enumerate(regions):
        top, left, side = r.y * ratio, r.x * ratio, r.side * ratio
        marks.append(Rectangle(top, left, top + side, left + side, MARKS[k % len(MARKS)]))
    return marks


def _box_marks(found: Detections | None, ratio: float) -> list[Rectangle]:
    """Boxes of detections; each class has a colour."""
    if found is None:
        return []
    marks = []
    for (left, top, right, bottom), label, score in zip(found.boxes * ratio, found.labels, found.scores, strict=True):
        colour = COLOURS[sum(label.encode()) % len(COLOURS)]
        marks.append(Rectangle(top, left, bottom, right, colour, f"{label} {score:.2f}"))
    return marks


def _crops(image: np.ndarray, regions: Sequence[Region], scale: int, width: int) -> np.ndarray:
    """The regions of one image beside each other, `width` pixels wide together, framed in their colours."""
    sides = [(width - (len(regions) - 1) * GAP + k) // len(regions) for k in range(len(regions))]
    cells = []
    for k, (region, side) in enumerate(zip(regions, sides, strict=True)):
        cell = fit_width(region.cut(image, scale), side)[:side]
        cells.append(outlined(cell, [Rectangle(0, 0, len(cell), side, MARKS[k % len(MARKS)])]))
    return beside(cells)


def captions(
    images: Mapping[str, np.ndarray], protocols: Sequence[str], *, assets: str | None = None
) -> dict[str, str]:
    """{method: its scores}, "-" without a reference or low-light image of its size; of the reference: the protocols.

    Raises UserError for an unknown protocol.
    """
    others = {"reference": images.get(REFERENCE), "low": images.get(INPUT)}
    found = {}
    for method, image in images.items():
        values = [_score(name, image, others, assets) for name in protocols if method != REFERENCE]
        found[method] = " / ".join(values)
    found[REFERENCE] = " / ".join(protocols)
    return found


def _score(name: str, image: np.ndarray, others: Mapping[str, np.ndarray | None], assets: str | None) -> str:
    against = find(name)[0].against
    other = others.get(against)
    if against != "none" and (other is None or (other.shape != image.shape and name.split("_crop")[0] != "loe_up")):
        return "-"
    return f"{score_image(name, image, others, assets=assets):.{min(digits_of(name), 3)}f}"


def add_arguments(flags: argparse.ArgumentParser) -> None:
    """The command's flags."""
    methods.add_arguments(flags)
    flags.add_argument("--crops", type=int, default=2, help="enlarged regions, chosen by rule, 0 to 3; default 2")
    flags.add_argument("--crop", action="append", metavar="X,Y,SIDE", help="this region instead; may be repeated")
    flags.add_argument("--scores", nargs="+", default=(), metavar="PROTOCOL", help="scores below the images")
    flags.add_argument("--below", nargs="+", default=(), choices=tuple(PANELS), help="charts below the images")
    flags.add_argument("--row", type=int, help="of profile and difference; default: through the strongest texture")
    flags.add_argument(
        "--detections", type=local_path, metavar="FOLDER", help="output of `ultrabm-jax detect`: its boxes"
    )
    flags.add_argument("--confidence", type=float, default=0.3, help="of boxes, at least; default 0.3")
    flags.add_argument("--width", type=int, default=240, help="of an image in the figure, in pixels; default 240")
    flags.add_argument("--assets", type=local_name, help="folder of weight files of the protocols")


def draw(args: argparse.Namespace) -> np.ndarray:
    """The figure of the command line."""
    if args.width < 16 or not 0 <= args.crops <= 3:
        raise UserError("--width is at least 16, and --crops 0 to 3")
    chosen = methods.open_methods(args)
    boxes = _read_boxes(args.detections, chosen, args.confidence) if args.detections else {}
    scenes = []
    for name in chosen.names:
        images = chosen.read(name)
        scores = captions(images, args.scores, assets=args.assets) if args.scores else {}
        scores = {method: text for method, text in scores.items() if method in images}
        scenes.append(Scene(name, images, scores, {method: own[name] for method, own in boxes.items()}))
    crops = args.crops if args.crop is None else [_parse_region(text) for text in args.crop]
    layout = Layout(chosen.model, args.width, crops, args.below, args.row, names=len(scenes) > 1)
    return draw_grid(scenes, layout)


def _parse_region(text: str) -> Region:
    try:
        x, y, side = (int(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"--crop takes X,Y,SIDE in pixels of the output, not {text!r}") from None
    return Region("stated", y, x, side)


def _read_boxes(folder: Path, chosen: methods.Methods, confidence: float) -> dict[str, dict[str, Detections]]:
    """{method: {image: its detections}} of the methods that the folder has."""
    found = {}
    for method, paths in chosen.paths.items():
        file = folder / "detections" / f"{folder_name(method)}.json"
        if file.is_file():
            every = read_detections(str(file), list(paths), None)
            found[method] = {name: every[name].above(confidence) for name in chosen.names}
    if not found:
        raise UserError(f"{folder}: no detections/METHOD.json of the methods {', '.join(chosen.paths)}")
    return found
