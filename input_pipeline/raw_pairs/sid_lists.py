"""SID's list files: which short exposure belongs to which long one (Chen et al., CVPR 2018, "See in the Dark").

    ROOT/Sony_{train,val,test}_list.txt       also Fuji_...; one line per short exposure:
    ./Sony/short/20005_00_0.04s.ARW ./Sony/long/20005_00_10s.ARW ISO200 F13
    ROOT/Sony/{short,long}/PSSSS_BB_T.TTs.ARW

A name holds the scene PSSSS (P: 0 train, 1 test, 2 val), the number BB within the burst and the exposure in seconds.
Short exposures of different times share one reference. Their exposure ratios (raw/amplification.py) are 100, 250 and
300 for 0.1, 0.04 and 0.033 s against 10 s, and 300 for 0.1 s against 30 s.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from input_pipeline.files.listing import Defect, MissingData
from ultrabm_jax.errors import UserError
from ultrabm_jax.raw.amplification import exposure_ratio

SID = {"sid_sony": "sony", "sid_fuji": "fuji"}  # data set: camera
CAMERAS = {"sony": "Sony", "fuji": "Fuji"}  # camera: its folder
CFA = {"sony": "bayer", "fuji": "xtrans"}  # camera: its colour filter array
SPLITS = ("train", "val", "test")
BURSTS = ("all", "first")
GET = "Sony 25 GB, Fuji 52 GB, research use, from https://github.com/cchen156/Learning-to-See-in-the-Dark"
_TREE = {
    "sony": "the folder with Sony/{short,long}/*.ARW and Sony_{train,val,test}_list.txt",
    "fuji": "the folder with Fuji/{short,long}/*.RAF and Fuji_{train,val,test}_list.txt",
}
MISALIGNED = ("10034", "10045", "10172")  # test scenes whose long exposure is misaligned, by SID's README
MARKER = "SYNTHETIC"  # a file of this name in ROOT: the data was made by input_pipeline.synthesize_sid
NAME = re.compile(r"(\d{5})_(\d{2})_(\d+(?:\.\d+)?)s\.\w+")
LINE = re.compile(r"(\S+)\s+(\S+)\s+ISO(\d+)\s+F(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class SidFrame:
    """One short exposure and its reference; exposures in seconds."""

    short: Path
    long: Path
    scene: str
    burst: int
    exposure: float
    reference_exposure: float
    ratio: float
    iso: int
    f_number: float
    synthetic: bool = False

    @property
    def name(self) -> str:
        """Unique within a camera."""
        return self.short.stem


def list_file(root: Path, *, camera: str, split: str) -> Path:
    """The list of a split."""
    return root / f"{CAMERAS[camera]}_{split}_list.txt"


def find_sid(
    root: str | Path,
    *,
    camera: str = "sony",
    split: str,
    bursts: str = "all",
    leave_out: Collection[str] = (),
    option: str = "data.root",
) -> tuple[list[SidFrame], list[Defect]]:
    """The usable frames of one list, in its order, and the defects of the others.

    `bursts`: "all" (RED) or "first", the frames numbered 00 (SID). `leave_out`: scenes, such as MISALIGNED.
    """
    check_bursts(bursts)
    for field, value, known in (("camera", camera, CAMERAS), ("split", split, SPLITS)):
        if value not in known:
            raise UserError(f"SID: {field} {value!r} is not known; choose one of: {', '.join(known)}")
    folder = Path(root).expanduser()
    lines = list_file(folder, camera=camera, split=split)
    if not root or not lines.is_file():
        wrong = f"{lines} is not there" if root else f"{option} is not set"
        raise MissingData(f"{wrong}: point {option} at {_TREE[camera]}; get it: {GET}")
    frames, defects = read_list(lines, root=folder)
    missing = sorted({path for frame in frames for path in (frame.short, frame.long) if not path.is_file()})
    defects += [Defect("missing file", f"{path} (named in {lines.name})") for path in missing]
    lost = set(missing)
    frames = [frame for frame in frames if frame.short not in lost and frame.long not in lost]
    frames = [frame for frame in frames if frame.scene not in leave_out and (bursts == "all" or frame.burst == 0)]
    return frames, defects


def check_bursts(bursts: str) -> None:
    """Raises UserError unless data.bursts is known."""
    if bursts not in BURSTS:
        raise UserError(f"data.bursts={bursts!r} is not known; choose one of: {', '.join(BURSTS)}")


def read_list(path: Path, *, root: Path) -> tuple[list[SidFrame], list[Defect]]:
    """The frames that a list file names, with paths below `root`, and its bad lines; does not look at the images."""
    synthetic = (root / MARKER).is_file()
    frames: list[SidFrame] = []
    defects = []
    seen: set[Path] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            frame = parse_line(line, root=root, synthetic=synthetic)
            if frame.short in seen:
                raise ValueError(f"{frame.short.name} is listed twice")
        except ValueError as error:
            defects.append(Defect("bad list line", f"{path}:{number}: {error}"))
        else:
            seen.add(frame.short)
            frames.append(frame)
    return frames, defects


def parse_line(line: str, *, root: Path, synthetic: bool = False) -> SidFrame:
    """One line of a list; ValueError describes its first error."""
    fields = LINE.fullmatch(line.strip())
    if fields is None:
        raise ValueError(f"{line.strip()!r} is not 'SHORT LONG ISOnnn Fn'")
    short, long = (_inside(root, text) for text in fields.group(1, 2))
    scene, burst, exposure = parse_name(short.name)
    other, _, reference_exposure = parse_name(long.name)
    if scene != other:
        raise ValueError(f"{short.name} and {long.name} are of different scenes")
    if reference_exposure < exposure:
        raise ValueError(f"{long.name} is exposed for less time than {short.name}")
    ratio = exposure_ratio(exposure, reference_exposure)
    return SidFrame(
        short, long, scene, burst, exposure, reference_exposure, ratio, int(fields[3]), float(fields[4]), synthetic
    )


def parse_name(name: str) -> tuple[str, int, float]:
    """(scene, number within the burst, exposure in seconds) of a file name."""
    match = NAME.fullmatch(name)
    if match is None or float(match[3]) == 0:
        raise ValueError(f"{name} is not named PSSSS_BB_T.TTs.EXT")
    return match[1], int(match[2]), float(match[3])


def _inside(root: Path, text: str) -> Path:
    path = Path(text)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{text} is not below the folder of the data set")
    return root / path
