from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from input_pipeline import darken, open_source
from input_pipeline.night import compress
from ultrabm_jax import cli
from ultrabm_jax.config_flags import read_config

QUICKSTART = str(Path(__file__).resolve().parents[2] / "configs" / "quickstart.py")


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_held_out_photos_are_those_of_the_evaluation(tmp_path):
    pytest.importorskip("skimage")
    assert darken.main(["skimage", "--config", QUICKSTART, "--output", str(tmp_path)]) == 0
    config = read_config(QUICKSTART)
    source = open_source(config.data, scale=config.model.scale, split="eval")
    names = [source.name(i) for i in range(len(source))]
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(names)
    for i, name in enumerate(names):
        np.testing.assert_array_equal(pixels(tmp_path / f"{name}.png"), source.pair(i)[0])


def test_folder_equals_the_inputs_of_its_evaluation(tmp_path, image, data):
    for name in ("a.png", "b/c.png"):
        image(tmp_path / "photos" / name, 9, 12)
    assert darken.main([str(tmp_path / "photos"), "--output", str(tmp_path / "out"), "--scale", "4"]) == 0
    data.update({"dataset": "synthetic", "eval_root": str(tmp_path / "photos")})
    source = open_source(data, scale=4, split="eval")
    for i in range(2):
        dark = pixels(tmp_path / "out" / f"{source.name(i)}.png")
        assert dark.shape == (2, 3, 3)
        np.testing.assert_array_equal(dark, source.pair(i)[0])


def test_pairs_are_those_that_training_reads(tmp_path, image, data):
    image(tmp_path / "photos" / "a.png", 9, 13)
    flags = ["--output", str(tmp_path / "out"), "--scale", "4", "--pairs"]
    assert darken.main([str(tmp_path / "photos"), *flags]) == 0
    data.update({"dataset": "paired", "root": str(tmp_path / "out"), "holdout": (0.0, 0.0), "patch_size": 2})
    source = open_source(data, scale=4, split="train")
    low, reference = source.pair(0)
    assert (low.shape, reference.shape) == ((2, 3, 3), (8, 12, 3))
    np.testing.assert_array_equal(reference, pixels(tmp_path / "photos" / "a.png")[:8, :12])


def test_the_training_photos_of_skimage_are_other_photos(tmp_path):
    pytest.importorskip("skimage")
    train, held_out = (darken.find_inputs(["skimage"], split=split) for split in ("train", "eval"))
    assert len(train) == 9
    assert len(held_out) == 3
    assert not train.keys() & held_out.keys()


def test_exposure_and_seed(tmp_path, image):
    photo = image(tmp_path / "photo.png", 32, 32)

    def mean_and_pixels(*flags):
        assert darken.main([str(photo), "--output", str(tmp_path / "out"), *flags]) == 0
        dark = pixels(tmp_path / "out" / "photo.png")
        return dark.mean(), dark

    assert mean_and_pixels("--ev=-1")[0] > 2 * mean_and_pixels("--ev=-5")[0] > 0
    first = mean_and_pixels("--seed", "1")[1]
    np.testing.assert_array_equal(first, mean_and_pixels("--seed", "1")[1])
    assert (first != mean_and_pixels("--seed", "2")[1]).any()


def test_unlit_region_is_dark_in_both_images(tmp_path):
    Image.new("RGB", (48, 40), (200, 180, 160)).save(tmp_path / "a.png")
    flags = ["--scale=1", "--pairs", "--ev=-3"]
    assert darken.main([str(tmp_path / "a.png"), "--output", str(tmp_path / "lit"), *flags]) == 0
    assert darken.main([str(tmp_path / "a.png"), "--output", str(tmp_path / "unlit"), *flags, "--unlit=1"]) == 0
    high = pixels(tmp_path / "unlit" / "high" / "a.png")[..., 0]
    dark = high < 40
    assert 0.05 < dark.mean() < 0.6
    assert (high == 200).mean() > 0.39  # the lit side is unchanged
    low, low_lit = (pixels(tmp_path / folder / "low" / "a.png")[..., 0] for folder in ("unlit", "lit"))
    assert low[dark].mean() < 0.25 * low_lit[dark].mean()
    np.testing.assert_array_equal(low[high == 200], low_lit[high == 200])


def test_jpeg_compression_is_drawn_from_the_seed_and_the_name(tmp_path):
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "a.png")
    outputs = {}
    jpeg = ["--jpeg-quality", "60", "95"]
    for name, flags in (("png", []), ("jpeg", jpeg), ("again", jpeg)):
        assert darken.main([str(tmp_path / "a.png"), "--output", str(tmp_path / name), "--scale=1", *flags]) == 0
        outputs[name] = pixels(tmp_path / name / "a.png")
    np.testing.assert_array_equal(outputs["jpeg"], outputs["again"])
    equal = [q for q in range(60, 96) if np.array_equal(compress(outputs["png"], quality=q), outputs["jpeg"])]
    assert len(equal) == 1


def test_unreadable_photo_is_named_and_others_are_written(tmp_path, image, capsys):
    bad = tmp_path / "bad.png"
    bad.write_text("nothing")
    small = image(tmp_path / "small.png", 1, 8)
    good = image(tmp_path / "good.png", 8, 8)
    assert darken.main([str(bad), str(small), str(good), "--output", str(tmp_path / "out")]) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "bad.png" in errors[0]
    assert "small.png: 8x1 is too small for scale 2" in errors[1]


def test_a_line_is_printed_for_each_file_that_was_written(tmp_path, image, capsys):
    (tmp_path / "out" / "b.png").mkdir(parents=True)
    photos = [str(image(tmp_path / name, 8, 8)) for name in ("a.png", "b.png", "c.png")]
    assert cli.run(lambda: darken.main([*photos, "--output", str(tmp_path / "out")])) == 1
    out = tmp_path / "out"
    assert capsys.readouterr().err.splitlines() == [
        f"[1/3] {photos[0]} -> {out}/a.png",
        f"error: {photos[1]}: the output {out}/b.png is a folder",
        f"[3/3] {photos[2]} -> {out}/c.png",
    ]


def test_an_output_that_cannot_be_written_is_reported_first(tmp_path, image, capsys, monkeypatch):
    monkeypatch.setattr(darken, "dark_pair", lambda *_, **__: pytest.fail("darkened a photo"))
    photo, blocked = image(tmp_path / "a.png", 8, 8), tmp_path / "file"
    blocked.write_text("")
    assert cli.run(lambda: darken.main([str(photo), "--output", str(blocked / "out")])) == 1
    errors = capsys.readouterr().err
    reason = f"{blocked}: a file, not a folder; choose another folder"
    assert errors == f"error: outputs cannot be written to {blocked}/out: {reason}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/nowhere", "--output", "{}/out"], "nowhere is not a folder"),
        (["{}/a.png", "{}/b/a.png", "--output", "{}/out"], "would both become a.png"),
        (["{}/a.png", "--output", "{}"], "would replace an input"),
        (["{}/a.png", "--output", "{}/out", "--scale=0"], "--scale 0"),
        (["{}/a.png", "--output", "{}/out", "--unlit=1.5"], "--unlit 1.5"),
        (["{}/a.png", "--output", "{}/out", "--jpeg-quality", "90", "60"], "--jpeg-quality 90 60"),
        (["{}/a.png", "--output", "{}/out", "--config={}/none.py"], "none.py is not a file"),
    ],
)
def test_misuse_gives_one_line(tmp_path, image, capsys, arguments, message):
    for name in ("a.png", "b/a.png"):
        image(tmp_path / name, 8, 8)
    status = cli.run(lambda: darken.main([text.format(tmp_path) for text in arguments]))
    printed = capsys.readouterr().err
    assert status == 1
    assert printed.count("\n") == 1
    assert message in printed
    assert not (tmp_path / "out").exists()
