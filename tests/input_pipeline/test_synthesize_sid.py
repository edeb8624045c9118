from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from input_pipeline import synthesize_sid
from input_pipeline.raw_pairs.sid_lists import MARKER, find_sid
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.colour import linear_from_srgb
from ultrabm_jax.raw import read_raw
from ultrabm_jax.raw.cfa import BAYER, XTRANS
from ultrabm_jax.raw.dng import write_dng
from ultrabm_jax.raw.noise import sensor_noise
from ultrabm_jax.raw.rendering import render_reference
from ultrabm_jax.raw.synthetic import GAINS, mosaic_from_rgb, read_scene

pytest.importorskip("rawpy")

COLOUR = (200, 120, 90)


@pytest.fixture
def photo(tmp_path):
    """A plain image, 80x60."""
    path = tmp_path / "photos" / "plain.png"
    path.parent.mkdir()
    Image.fromarray(np.full((60, 80, 3), COLOUR, np.uint8)).save(path)
    return path


def synthesize(*inputs, output, **flags):
    given = [text for name, value in flags.items() for text in (f"--{name}", *str(value).split())]
    return synthesize_sid.main([*map(str, inputs), "--output", str(output), *given])


def test_output_is_read_as_sid(photo, tmp_path):
    out = tmp_path / "out"
    assert synthesize(photo.parent, output=out, iso=3200) == 0
    frames, defects = find_sid(out, split="train")
    assert not defects
    assert [frame.ratio for frame in frames] == [100, 250, 300]
    assert all(frame.synthetic and frame.iso == 3200 for frame in frames)
    assert [frame.short.name for frame in frames] == [f"00001_00_{t}s.dng" for t in ("0.1", "0.04", "0.033")]
    assert "SYNTHETIC DATA" in (out / MARKER).read_text()
    mosaic = read_raw(frames[2].short)
    assert (mosaic.make, mosaic.model, mosaic.iso, mosaic.exposure) == ("ultrabm_jax", "synthetic", 3200, 0.033)
    assert (mosaic.cfa, mosaic.black[0, 0], mosaic.white) == ("bayer", 512, 16383)


def test_exposures_have_the_scenes_light_and_the_models_noise(photo, tmp_path):
    synthesize(photo, output=tmp_path / "out", iso=1600)
    light = linear_from_srgb(np.array(COLOUR) / 255) / GAINS
    noise = sensor_noise(1600)
    frames, _ = find_sid(tmp_path / "out", split="train")
    long = read_raw(frames[0].long)
    np.testing.assert_allclose(long.values, 512 + np.tile(light[BAYER], (30, 40)) * 15871, atol=0.51)
    for frame in frames:
        raw = read_raw(frame.short).values.astype(float) - 512
        for y, x in ((0, 0), (0, 1), (1, 1)):
            expected = light[BAYER[y, x]] * 15871 / frame.ratio
            variance = noise.gain * expected + noise.read**2 + 1 / 12
            samples = raw[y::2, x::2]
            assert samples.mean() == pytest.approx(expected, abs=4 * np.sqrt(variance / samples.size))
            assert samples.var() == pytest.approx(variance, rel=0.15)


def test_reference_rendering_reproduces_the_photo(photo, tmp_path):
    synthesize(photo, output=tmp_path / "out")
    frames, _ = find_sid(tmp_path / "out", split="train")
    light = linear_from_srgb(np.array(COLOUR) / 255)
    curve = np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)  # BT.709, LibRaw's
    rendering = render_reference(frames[0].long)[4:-4, 4:-4] / 65535
    np.testing.assert_allclose(rendering.mean(axis=(0, 1)), curve, atol=0.01)


def test_deterministic_by_seed_and_name(photo, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        synthesize(photo, output=tmp_path / name, seed=seed, iso=800)
    short = "Sony/short/00001_00_0.1s.dng"
    assert (tmp_path / "a" / short).read_bytes() == (tmp_path / "b" / short).read_bytes()
    assert (tmp_path / "a" / short).read_bytes() != (tmp_path / "c" / short).read_bytes()
    one, other = (read_raw(tmp_path / "a" / f"Sony/short/00001_00_{t}s.dng").values for t in ("0.1", "0.04"))
    assert abs(np.corrcoef(one[::2, ::2].ravel(), other[::2, ::2].ravel())[0, 1]) < 0.15  # noise of their own


def test_splits_share_a_folder_and_nothing_is_overwritten(photo, tmp_path):
    out = tmp_path / "out"
    assert synthesize(photo, output=out) == 0
    assert synthesize(photo, output=out, split="test", ratios="100") == 0
    (frame,) = find_sid(out, split="test")[0]
    assert frame.scene == "10001"
    with pytest.raises(UserError, match=r"Sony_train_list\.txt exists"):
        synthesize(photo, output=out)
    (out / "Sony_train_list.txt").unlink()
    with pytest.raises(UserError, match=r"00001_00_10s.dng exists"):
        synthesize(photo, output=out)


def test_raw_files_keep_their_colours_and_levels(tmp_path):
    neutral = (0.4, 1.0, 0.7)
    slope = 300 + 40 * np.arange(61)[:, None] + 10 * np.arange(80)
    samples = slope.astype(np.uint16)
    matrix = np.array([[0.9, -0.2, -0.1], [-0.4, 1.2, 0.2], [0.0, 0.1, 0.6]])
    path = tmp_path / "in" / "night.dng"
    path.parent.mkdir()
    write_dng(path, samples, pattern=BAYER[::-1], black=100, white=4000, neutral=neutral, matrix=matrix)
    assert synthesize(path.parent, output=tmp_path / "out") == 0
    (long, *_) = [frame.long for frame in find_sid(tmp_path / "out", split="train")[0]]
    np.testing.assert_allclose(read_raw(long).samples, read_raw(path).samples, atol=1e-4)
    before, after = (render_reference(p)[6:-6, 6:-6].astype(float) for p in (path, long))
    np.testing.assert_allclose(after, before, atol=0.005 * 65535)
    assert np.ptp(before.mean(axis=(0, 1))) > 0.05 * 65535  # no gray image


def test_colours_of_a_real_raw_file_are_preserved(shared, tmp_path):
    path = shared / "data" / "raw" / "colorchart.dng"
    assert synthesize(path, output=tmp_path / "out", ratios=100) == 0
    (frame,) = find_sid(tmp_path / "out", split="train")[0]
    before, after = (render_reference(p)[:400, :400].astype(float) for p in (path, frame.long))
    np.testing.assert_allclose(after.mean(axis=(0, 1)), before.mean(axis=(0, 1)), rtol=0.01)


def test_mosaics_of_xtrans(tmp_path):
    image = np.random.default_rng(0).random((13, 14, 3))
    mosaic = mosaic_from_rgb(image, XTRANS)
    assert all(mosaic[y, x] == image[y, x, XTRANS[y % 6, x % 6]] for y in range(13) for x in range(14))
    path = tmp_path / "large.png"
    Image.fromarray(np.full((513, 520, 3), COLOUR, np.uint8)).save(path)
    scene = read_scene(path, cfa="xtrans")
    light = linear_from_srgb(np.array(COLOUR) / 255) / GAINS
    np.testing.assert_allclose(scene.light[:6, :6], light[XTRANS], rtol=1e-5)


def test_unusable_inputs_are_reported(photo, tmp_path, capsys):
    (photo.parent / "broken.png").write_bytes(photo.read_bytes()[:60])
    np.save(photo.parent / "packed.npy", np.zeros((20, 20, 4), np.uint16))
    assert synthesize(photo.parent, output=tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "error: " in said
    assert "broken.png" in said
    assert "packed.npy: an .npy file has no levels" in said
    assert [frame.scene for frame in find_sid(tmp_path / "out", split="train")[0]] == [
        "00003"
    ] * 3  # the third of three
    assert synthesize(photo, output=tmp_path / "fuji", camera="fuji") == 1
    assert "80x60: LibRaw renders X-Trans only at 512x512 and above" in capsys.readouterr().err
    for flags, words in (
        ({"ratios": "400"}, "400: must be 1 to 300"),
        ({"iso": "50"}, "ISO 50: the noise model covers"),
    ):
        with pytest.raises(UserError, match=words):
            synthesize(photo, output=tmp_path / "none", **flags)
    with pytest.raises(UserError, match="no such file or folder"):
        synthesize(tmp_path / "nowhere", output=tmp_path / "none")
    assert not (tmp_path / "none").exists()
