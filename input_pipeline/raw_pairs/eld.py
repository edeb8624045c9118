"""ELD: raw pairs of four cameras (Wei et al., CVPR 2020, "A Physics-based Noise Formation Model"), for evaluation.

    ROOT/CAMERA/scene-N/IMG_NNNN.EXT      ten scenes, 16 frames each, of SonyA7S2 (ARW), NikonD850 (nef), CanonEOS70D
                                          and CanonEOS700D (CR2)

Frames 1, 6, 11 and 16 are the references. Those of the evaluation are 4, 9 and 14 (ratio 100) and 5, 10 and 15 (ratio
200), 240 of the four cameras together; each is paired with the reference of the nearest number. The ratio is that of
ISO times exposure time, as the files state them. This is the layout and the choice that the authors' evaluation code
reads; RED's Table 3 uses models that were trained on SID's Sony images. The data set has no test lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from input_pipeline.files.listing import Defect, MissingData
from input_pipeline.raw_pairs.sid_lists import SidFrame
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import BadImage
from ultrabm_jax.image.listing import is_folder
from ultrabm_jax.raw.amplification import exposure_ratio
from ultrabm_jax.raw.raw_file import read_exposure

# Data set: folder of the camera.
ELD = {
    "eld_sony": "SonyA7S2",
    "eld_nikon": "NikonD850",
    "eld_canon70d": "CanonEOS70D",
    "eld_canon700d": "CanonEOS700D",
}
REFERENCES = (1, 6, 11, 16)
EVALUATED = (4, 5, 9, 10, 14, 15)
SCENE = re.compile(r"scene-(\d+)")
NAME = re.compile(r"IMG_(\d{4})")
GET = "see https://github.com/Vandermode/ELD"


@dataclass(frozen=True)
class EldFrame(SidFrame):
    """A dark frame and its reference."""

    @property
    def name(self) -> str:
        """Scene and number of the frame: "scene-3_IMG_0014"."""
        return f"{self.scene}_{self.short.stem}"


def find_eld(root: str | Path, *, dataset: str, option: str = "data.root") -> tuple[list[EldFrame], list[Defect]]:
    """The frames of one camera, by scene and number, and the defects of the others.

    Raises MissingData if the camera's folder does not exist or has no scene.
    """
    folder = Path(root).expanduser() / ELD[dataset]
    scenes = {int(match[1]): path for path, match in _matches(folder, SCENE)} if root and is_folder(folder) else {}
    if not scenes:
        wrong = f"{folder} has no folder scene-N" if root else f"{option} is not set"
        raise MissingData(f"{wrong}: point {option} at ROOT/{ELD[dataset]}/scene-N/IMG_NNNN.*; get it: {GET}")
    frames: list[EldFrame] = []
    defects: list[Defect] = []
    for number in sorted(scenes):
        files = {int(match[1]): path for path, match in _matches(scenes[number], NAME)}
        for index in EVALUATED:
            nearest = min(REFERENCES, key=lambda reference: (abs(reference - index), reference))
            missing = [f"IMG_{k:04d}" for k in (index, nearest) if k not in files]
            if missing:
                defects.append(Defect("missing file", f"{scenes[number]}/{' and '.join(missing)}"))
                continue
            try:
                frames.append(_frame(files[index], files[nearest], scenes[number].name, index))
            except BadImage as error:
                defects.append(Defect("unreadable", str(error)))
    return frames, defects


def _frame(short: Path, long: Path, scene: str, index: int) -> EldFrame:
    (iso, exposure), (reference_iso, reference_exposure) = _stated(short), _stated(long)
    ratio = exposure_ratio(exposure * iso, reference_exposure * reference_iso)
    return EldFrame(short, long, scene, index, exposure, reference_exposure, ratio, iso, 0.0)


def _stated(path: Path) -> tuple[int, float]:
    iso, exposure = read_exposure(path)
    if iso is None or exposure is None:
        raise BadImage(path, "states no ISO or no exposure time, from which the ratio of a pair of ELD is computed")
    return iso, exposure


def _matches(folder: Path, pattern: re.Pattern[str]) -> list[tuple[Path, re.Match[str]]]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be listed ({error})") from error
    found = ((path, pattern.fullmatch(path.stem)) for path in paths)
    return [(path, match) for path, match in found if match is not None]
