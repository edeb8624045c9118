"""A camera raw file given to a model for photos is refused with the model to use; its preview is not restored."""

from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image
from ultrabm_jax.inference.files import restore_files
from ultrabm_jax.inference.jobs import plan
from ultrabm_jax.raw.cfa import BAYER, XTRANS

BEGINNINGS = {
    "raf": b"FUJIFILMCCD-RAW 0201",
    "cr3": b"\0\0\0\x18ftypcrx \0\0\0\1",
    "cr2": b"II*\0\x10\0\0\0CR\2\0",
    "orf": b"IIRO\x08\0\0\0",
    "rw2": b"IIU\0\x18\0\0\0",
    "x3f": b"FOVb\3\0\2\0",
    "mrw": b"\0MRM\0\1",
    "crw": b"II\x1a\0\0\0HEAPCCDR",
}


@pytest.mark.parametrize("suffix", BEGINNINGS)
def test_raw_formats_are_recognised_by_their_first_bytes(tmp_path, suffix):
    path = tmp_path / f"night.{suffix}"
    path.write_bytes(BEGINNINGS[suffix] + bytes(600))
    with pytest.raises(UserError, match=rf"night\.{suffix}: a camera raw file; .*--model red"):
        read_image(path)


@pytest.mark.parametrize("pattern", [BAYER, XTRANS], ids=["bayer", "xtrans"])
def test_dng_files_are_refused(dng, pattern):
    path, _ = dng(pattern=pattern)
    with pytest.raises(UserError, match=r"a camera raw file; .*--model red"):
        read_image(path)


def test_a_preview_is_not_restored_in_place_of_the_mosaic(shared, tmp_path, capsys):
    def restorer(image: np.ndarray) -> np.ndarray:
        raise AssertionError("the preview was restored")

    path = shared / "field" / "raw" / "thumb_in_ifd0.dng"
    assert restore_files(restorer, plan([path], tmp_path)) == 1
    assert "thumb_in_ifd0.dng: a camera raw file; restore it with a model for camera raw" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
