import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.tools.before_after import GAP, SPACE, TEXT, main, sheet


def write(folder, names, size, colour):
    folder.mkdir()
    for name in names:
        Image.new("RGB", size, colour).save(folder / f"{name}.png")
    return folder


def test_scenes_stand_side_by_side_at_one_height(tmp_path):
    dark = write(tmp_path / "dark", "abc", (40, 20), (10, 0, 0))
    bright = write(tmp_path / "bright", "abc", (80, 40), (200, 0, 0))
    arguments = [f"before={dark}", f"after={bright}", "--output", str(tmp_path / "sheet.png"), "--height", "40"]
    assert main(arguments) == 0
    image = read_rgb_uint8(tmp_path / "sheet.png")
    assert image.shape == (TEXT + 2 * 40 + GAP, 4 * 80 + 2 * GAP + SPACE, 3)
    assert image[TEXT + 20, 40].tolist() == [10, 0, 0]
    assert image[TEXT + 20, 80 + GAP + 40].tolist() == [200, 0, 0]
    assert image[TEXT + 40 + GAP + 20, 40].tolist() == [10, 0, 0]  # the third scene
    assert image[-20, -40].tolist() == [255, 255, 255]  # no fourth one
    assert (image[:TEXT] < 128).any()  # the names


def test_chosen_names_only(tmp_path):
    dark = write(tmp_path / "dark", "abc", (40, 20), (10, 0, 0))
    assert main([f"before={dark}", "--output", str(tmp_path / "s.png"), "--names", "b", "--height", "20"]) == 0
    assert read_rgb_uint8(tmp_path / "s.png").shape == (TEXT + 20, 40, 3)


def test_squares_from_the_middle(tmp_path):
    dark = write(tmp_path / "dark", "ab", (60, 20), (10, 0, 0))
    arguments = [f"before={dark}", "--output", str(tmp_path / "s.png"), "--square", "--height", "30"]
    assert main(arguments) == 0
    assert read_rgb_uint8(tmp_path / "s.png").shape == (TEXT + 30, 60 + SPACE, 3)


def test_images_of_several_shapes():
    wide, tall = np.zeros((20, 60, 3), np.uint8), np.zeros((60, 20, 3), np.uint8)
    assert sheet([{"x": wide}, {"x": tall}], columns=1, height=30).shape == (TEXT + 60 + GAP, 90, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dark"], "a folder takes NAME=PATH, not 'dark'"),
        (["dark={dark}", "--names", "z"], "z is not in every folder; there are a, b"),
        (["dark={dark}", "--columns", "0"], "at least 1"),
        (["dark=none"], "none is not a folder"),
    ],
)
def test_errors_are_one_line(tmp_path, arguments, message):
    dark = write(tmp_path / "dark", "ab", (40, 20), (10, 0, 0))
    with pytest.raises(UserError, match=message):
        main([*(a.format(dark=dark) for a in arguments), "--output", str(tmp_path / "s.png")])
