from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from input_pipeline.files.scenes import THRESHOLD, components, correlations, find_scenes, fine_structure
from ultrabm_jax.image import read_rgb_uint8


def image(seed, size=(120, 80)):
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def similarity(first, second):
    return correlations([fine_structure(first), fine_structure(second)])[0, 1]


def test_scene_does_not_depend_on_brightness_size_or_light():
    scene = image(0)
    assert similarity(scene, scene) == pytest.approx(1)
    assert similarity(scene, np.rint(scene * 0.5).astype(np.uint8)) > 0.99
    assert similarity(scene, np.rint(255 * (scene / 255) ** 1.5).astype(np.uint8)) > 0.9
    assert similarity(scene, image(0, (240, 160))) > 0.95
    ramp = np.linspace(0.4, 1, scene.shape[1])[None, :, None]
    assert similarity(scene, (scene * ramp).astype(np.uint8)) > 0.8


def test_different_scenes_are_below_the_threshold():
    stacked = [fine_structure(image(seed)) for seed in range(30)]
    others = correlations(stacked)[~np.eye(30, dtype=bool)]
    assert np.abs(others).max() < THRESHOLD
    flat = fine_structure(np.full((80, 120, 3), 90, np.uint8))
    assert np.abs(correlations([flat, stacked[0]])[0]).max() == 0


def test_scenes_are_connected_components():
    similar = np.eye(6)
    for i, j in ((0, 3), (3, 5), (1, 4)):
        similar[i, j] = similar[j, i] = 0.9
    assert components(similar) == [0, 1, 2, 0, 1, 0]
    assert components(similar, threshold=0.95) == list(range(6))
    chain = np.eye(50) + np.eye(50, k=1) + np.eye(50, k=-1)
    assert components(chain[::-1, ::-1]) == [0] * 50


def test_a_scene_is_named_after_its_first_image(tmp_path):
    for name, seed in (("10", 1), ("9", 1), ("2", 2)):
        Image.fromarray(image(seed)).save(tmp_path / f"{name}.png")
    files = {name: tmp_path / f"{name}.png" for name in ("10", "2", "9")}
    assert find_scenes(files) == {"2": "2", "9": "9", "10": "9"}


# LOL v1, by file number. The training images that show the scene of each test image:
TWINS = {
    1: {2}, 22: {21, 24}, 23: {21, 24}, 55: {53, 54, 56}, 79: {80, 81, 82}, 111: {112, 113, 114},
    146: {143, 144, 145}, 179: set(), 493: {494}, 547: {546}, 665: {664}, 669: {668}, 748: {747},
    778: {775, 776, 777}, 780: {779},
}  # fmt: skip
# Images of one table top on which objects were rearranged, and the pairs of them that count as one scene.
TABLE_TOP = set(range(468, 498)) - {493}
TABLE_TOP_PAIRS = {
    (472, 473), (472, 474), (472, 475), (472, 476), (473, 474), (473, 475), (473, 476), (474, 475), (474, 476),
    (474, 479), (475, 476), (475, 479), (476, 479), (480, 483), (481, 482), (485, 486), (487, 497),
}  # fmt: skip
DIFFERENT, SAME = 0.4, 0.9  # bounds measured on LOL v1: at most .388 for different scenes, at least .927 for one scene
LONGEST_RUN = 6  # images of one scene have file numbers that differ by at most this much


@pytest.fixture(scope="module")
def lol(shared):
    """{part: (file numbers, fine structures)} of the references that are there; any subset of our485 will do."""
    result = {}
    for part in ("our485", "eval15"):
        files = sorted((shared / "data" / "lol_v1" / part / "high").iterdir(), key=lambda path: int(path.stem))
        structures = np.stack([fine_structure(read_rgb_uint8(path)) for path in files])
        result[part] = [int(path.stem) for path in files], structures
    return result


def test_lol_test_images_correlate_only_with_their_scenes(lol):
    (train_numbers, train), (test_numbers, test) = lol["our485"], lol["eval15"]
    assert test_numbers == sorted(TWINS)
    for number, row in zip(test_numbers, test @ train.T, strict=True):
        is_twin = np.array([other in TWINS[number] for other in train_numbers])
        assert is_twin.any() == bool(TWINS[number])
        assert row[~is_twin].max() < 0.3
        assert (row[is_twin] > 0.95).all()


def test_lol_scenes_are_separated_by_a_wide_gap(lol):
    numbers, structures = lol["our485"]
    similar = correlations(structures)
    above = {(numbers[i], numbers[j]) for i, j in np.argwhere(np.triu(similar, 1) > THRESHOLD)}
    assert {pair for pair in above if TABLE_TOP & set(pair)} == {
        pair for pair in TABLE_TOP_PAIRS if set(pair) <= set(numbers)
    }
    outside = [i for i, number in enumerate(numbers) if number not in TABLE_TOP]
    values = similar[np.ix_(outside, outside)][np.triu_indices(len(outside), 1)]
    assert ((values < DIFFERENT) | (values > SAME)).all()
    across = similar[np.ix_(outside, [i for i, number in enumerate(numbers) if number in TABLE_TOP])]
    assert across.max() < DIFFERENT
    assert all(second - first <= LONGEST_RUN for first, second in above - TABLE_TOP_PAIRS)
    scenes = components(similar)
    merged = [{number for number, scene in zip(numbers, scenes, strict=True) if scene == s} for s in set(scenes)]
    assert all(scene <= TABLE_TOP or max(scene) - min(scene) <= LONGEST_RUN for scene in merged)
