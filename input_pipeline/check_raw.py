"""Checks camera raw files: all files below a folder, or those that SID's list files name."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from input_pipeline.files.listing import Defect, MissingData, files_below
from input_pipeline.progress import Progress
from input_pipeline.raw_pairs.eld import find_eld
from input_pipeline.raw_pairs.sid_lists import CAMERAS, GET, SPLITS, find_sid
from ultrabm_jax.image import BadImage
from ultrabm_jax.image.bad_image import require_file
from ultrabm_jax.image.listing import is_folder
from ultrabm_jax.raw import RAW_SUFFIXES, read_raw

WORKERS = 4


def check_raw(
    root: str, *, bar: Callable[[str], Progress], cameras: Collection[str] = ()
) -> tuple[dict[str, int], list[Defect]]:
    """Decodes every file; returns ({part: number of usable files}, all defects).

    The parts are SID's lists of the `cameras` (by default: of every camera that has a list), or "raw" if there is no
    list. `bar` makes the progress bar of a part.
    """
    folder = Path(root).expanduser()
    if not root or not is_folder(folder):
        raise MissingData(f"{root or 'data.root'} is not a folder: point it at camera raw files, or at SID: {GET}")
    cameras = cameras or [camera for camera, stem in CAMERAS.items() if list(folder.glob(f"{stem}_*_list.txt"))]
    if cameras:
        return _check_sid(folder, cameras, bar)
    files, defects = files_below(folder, _named_raw, what="camera raw file")
    bad = _read_all(files, bar("raw"))
    return {"raw": len(files) - len(bad)}, defects + list(bad.values())


def check_eld(root: str, dataset: str, *, bar: Callable[[str], Progress]) -> tuple[dict[str, int], list[Defect]]:
    """Decodes the files of one camera of ELD; returns ({"eval": number of usable pairs}, all defects)."""
    frames, defects = find_eld(root, dataset=dataset)
    bad = _read_all(sorted({path for frame in frames for path in (frame.short, frame.long)}), bar("eval"))
    usable = sum(frame.short not in bad and frame.long not in bad for frame in frames)
    return {"eval": usable}, defects + list(bad.values())


def _check_sid(
    folder: Path, cameras: Collection[str], bar: Callable[[str], Progress]
) -> tuple[dict[str, int], list[Defect]]:
    counts: dict[str, int] = {}
    defects: list[Defect] = []
    for camera, split in [(camera, split) for camera in cameras for split in SPLITS]:
        try:
            frames, wrong = find_sid(folder, camera=camera, split=split, option="--raw")
        except MissingData as error:
            defects.append(Defect("missing file", str(error)))
            continue
        files = sorted({path for frame in frames for path in (frame.short, frame.long)})
        bad = _read_all(files, bar(f"{camera} {split}"))
        counts[f"{camera} {split}"] = sum(frame.short not in bad and frame.long not in bad for frame in frames)
        defects += wrong + list(bad.values())
    return counts, defects


def _read_all(files: list[Path], progress: Progress) -> dict[Path, Defect]:
    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(progress(pool.map(_read, files), len(files)))
    return {path: defect for path, defect in zip(files, results, strict=True) if defect is not None}


def _read(path: Path) -> Defect | None:
    try:
        require_file(path)
        read_raw(path)
    except BadImage as error:
        return Defect("unreadable", str(error))
    return None


def _named_raw(path: Path) -> bool:
    return path.suffix.lower() in RAW_SUFFIXES - {".npy"} and not path.name.startswith(".")  # arrays may be anything
