from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from input_pipeline.builders.scenes import THRESHOLD, components, correlations, find_scenes, fine_structure
from ultrabm_jax.image.decode import read_rgb_uint8


def image(seed, size=(120, 80)):
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def similarity(first, second):
    return correlations([fine_structure(first), fine_structure(second)])[0, 1]


def test_other_brightness_size_and_light_is_the_same_scene():
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


def test_lol_test_images_meet_their_twins_and_the_gap_is_wide(shared):
    # 222 training images of distinct file groups, all 15 test images; 14 of these have a near twin.
    folders = [shared / "data" / "lol_v1" / part / "high" for part in ("our485", "eval15")]
    files = [sorted(folder.iterdir(), key=lambda path: int(path.stem)) for folder in folders]
    train, test = (np.stack([fine_structure(read_rgb_uint8(path)) for path in part]) for part in files)
    best = np.sort((test @ train.T).max(axis=1))
    assert best[0] < 0.3
    assert best[1] > 0.95
    assert np.argmin((test @ train.T).max(axis=1)) == [path.stem for path in files[1]].index("179")
    merged = components(train @ train.T)
    table_top = range(468, 498)  # toys rearranged on one table
    assert len(train) - len(set(merged)) == 8
    assert {int(files[0][i].stem) in table_top for i, first in enumerate(merged) if first != i} == {True}
