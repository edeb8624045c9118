from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from input_pipeline import open_source
from input_pipeline.files.layouts import find_pairs
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_rgb_uint8

EXPOSURES = ("-2.5", "-3.0", "-3.5", "-4.0", "-4.5")


@pytest.fixture
def rellisur(tmp_path, image):
    """Three scenes of five exposures in each split, with references at X2 and their duplicates."""
    root = tmp_path / "RELLISUR-Dataset"
    for split in ("Train", "Val", "Test"):
        for scene in ("00001", "00018", "00736"):
            reference = image(root / split / "NLHR" / "X2" / f"{scene}.png", 16, 20, seed=int(scene))
            for exposure in EXPOSURES:
                image(root / split / "LLLR" / f"{scene}{exposure}.png", 8, 10)
                copy = root / split / "NLHR-Duplicates" / "X2" / f"{scene}{exposure}.png"
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(reference, copy)
    return root


def open_with(data, dataset, root, *, scale=2, split="train", **fields):
    data.update(dataset=dataset, root=str(root), **fields)
    return open_source(data, scale=scale, split=split)


def test_pairs_have_equal_stems_and_any_extension(data, tmp_path, image):
    for name, low, high in (("10", "webp", "jpg"), ("2", "png", "bmp"), ("a.b", "png", "png")):
        image(tmp_path / "low" / f"{name}.{low}", 4, 6)
        image(tmp_path / "high" / f"{name}.{high}", 8, 12)
    (tmp_path / "low" / "notes.txt").write_text("not an image")
    (tmp_path / "low" / "._2.png").write_text("left by macOS")
    source = open_with(data, "paired", tmp_path)
    assert sorted(source.name(i) for i in range(len(source))) == ["10", "2", "a.b"]
    assert [source.name(i) for i in range(3)].index("2") < [source.name(i) for i in range(3)].index("10")
    low, reference = source.pair(0)
    assert (low.shape, reference.shape) == ((4, 6, 3), (8, 12, 3))


def test_rellisur_with_and_without_duplicates(data, rellisur):
    source = open_with(data, "rellisur", rellisur)
    assert len(source) == 15
    names = [source.name(i) for i in range(15)]
    assert names[0] == "00001-2.5"
    assert [source.group(i) for i in range(5)] == list(EXPOSURES)
    with_copies = [source.pair(i)[1] for i in range(15)]
    shutil.rmtree(rellisur / "Train" / "NLHR-Duplicates")
    scene_wise = open_with(data, "rellisur", rellisur)
    assert [scene_wise.name(i) for i in range(15)] == names
    for i in range(15):
        np.testing.assert_array_equal(scene_wise.pair(i)[1], with_copies[i])
        assert scene_wise.group(i) == names[i][5:]


@pytest.mark.parametrize("folder", ["NLHR", "NLHR-Duplicates"])
def test_normal_light_images_of_rellisur_are_pairs_for_super_resolution(data, rellisur, image, folder):
    for scene in ("00001", "00018", "00736"):
        for name in [scene] if folder == "NLHR" else [f"{scene}{exposure}" for exposure in EXPOSURES]:
            image(rellisur / "Train" / folder / "X1" / f"{name}.png", 8, 10, seed=int(scene))
    source = open_with(data, "rellisur_sr", rellisur)
    assert [source.name(i) for i in range(len(source))] == ["00001", "00018", "00736"]
    low, reference = source.pair(1)
    np.testing.assert_array_equal(low, read_rgb_uint8(next((rellisur / "Train" / folder / "X1").glob("00018*"))))
    np.testing.assert_array_equal(reference, read_rgb_uint8(rellisur / "Train" / "NLHR" / "X2" / "00018.png"))
    with pytest.raises(UserError, match="enlarged by 2 or 4, not 1"):
        open_with(data, "rellisur_sr", rellisur, scale=1)


def test_rellisur_evaluates_on_test_or_val(data, rellisur):
    (rellisur / "Val" / "LLLR" / "00001-2.5.png").unlink()
    (rellisur / "Val" / "NLHR-Duplicates" / "X2" / "00001-2.5.png").unlink()
    assert len(open_with(data, "rellisur", rellisur, split="eval")) == 15
    assert len(open_with(data, "rellisur", rellisur, split="eval", eval_split="val")) == 14


def test_rellisur_defects(data, rellisur, image):
    shutil.rmtree(rellisur / "Train" / "NLHR-Duplicates")
    image(rellisur / "Train" / "LLLR" / "00001_dark.png", 8, 10)
    (rellisur / "Train" / "NLHR" / "X2" / "00018.png").unlink()
    with pytest.raises(UserError, match=r"6 unpaired: .*00001_dark.*00018-2\.5"):
        open_with(data, "rellisur", rellisur)
    with pytest.raises(UserError, match="scales 1, 2 and 4, not 3"):
        open_with(data, "rellisur", rellisur, scale=3)
    with pytest.raises(UserError, match=r"missing folder: .*X4"):
        open_with(data, "rellisur", rellisur, scale=4)


def test_lol_low_is_shrunk_and_cropped_to_a_multiple(data, tmp_path, image):
    for part in ("our485", "eval15"):
        image(tmp_path / part / "low" / "1.png", 9, 15)
        image(tmp_path / part / "high" / "1.png", 9, 15, seed=1)
    source = open_with(data, "lol", tmp_path, split="eval")
    low, reference = source.pair(0)
    assert source.size(0) == (4, 7)
    assert (low.shape, reference.shape) == ((4, 7, 3), (8, 14, 3))
    np.testing.assert_array_equal(reference, read_rgb_uint8(tmp_path / "eval15/high/1.png")[:8, :14])
    cropped = Image.open(tmp_path / "eval15/low/1.png").crop((0, 0, 14, 8))
    np.testing.assert_array_equal(low, np.asarray(cropped.resize((7, 4), Image.Resampling.BICUBIC)))
    with pytest.raises(UserError, match=r"low is 15x9, reference 15x9.*data\.downscale=auto"):
        open_with(data, "lol", tmp_path, downscale="never")
    assert open_with(data, "lol", tmp_path, scale=1).pair(0)[0].shape == (9, 15, 3)


def test_lol_v2_pairs_by_number(tmp_path, image):
    part = tmp_path / "Real_captured" / "Train"
    for number in ("00100", "00009"):
        image(part / "Low" / f"low{number}.png", 4, 6)
        image(part / "Normal" / f"normal{number}.png", 4, 6)
    image(part / "Low" / "low00101.png", 4, 6)
    image(part / "Normal" / "normal00102.png", 4, 6)
    image(part / "Normal" / "low00103.png", 4, 6)
    listing = find_pairs("lol_v2_real", str(tmp_path), split="train", scale=1)
    assert [pair.name for pair in listing.pairs] == ["00009", "00100"]
    assert all(pair.reference.name == f"normal{pair.name}.png" for pair in listing.pairs)
    said = "; ".join(f"{defect.kind}: {defect.what}" for defect in listing.defects)
    for part_of_it in (
        "bad name: ", "Normal/low00103.png (expected normalNNNNN)", "no Normal/normal00101.*", "no Low/low00102.*",
    ):  # fmt: skip
        assert part_of_it in said
    assert len(listing.defects) == 3


def test_eval_root_replaces_the_data_sets_split(data, tmp_path, pairs, image):
    assert len(open_with(data, "paired", pairs, split="eval", eval_root=str(pairs))) == 5
    with pytest.raises(UserError, match=r"set data\.eval_root"):
        open_with(data, "paired", pairs, split="eval", eval_root="")


def test_missing_root_says_where_to_get_it(data, tmp_path):
    with pytest.raises(UserError, match=r"zenodo\.5234969") as caught:
        open_with(data, "rellisur", tmp_path / "nothing")
    for part in ("nothing/Train is not a folder", "NLHR-Duplicates", "CC BY 4.0", "8.9 GB"):
        assert part in str(caught.value)
    with pytest.raises(UserError, match=r"our485/low/N\.png.*BMVC2018"):
        open_with(data, "lol", tmp_path)
    with pytest.raises(UserError, match=r"data\.root is not set"):
        open_with(data, "paired", "")
    with pytest.raises(UserError, match=r"'lo' is not known; choose one of: paired, lol, rellisur, .*synthetic"):
        open_with(data, "lo", tmp_path)


def test_a_root_at_the_wrong_level_gets_a_suggestion(data, tmp_path, image):
    for kind in ("Low", "Normal"):
        image(tmp_path / "v2" / "Synthetic" / "Train" / kind / "1.png", 4, 6)
    for given in (tmp_path / "v2" / "Synthetic", tmp_path / "v2" / "Synthetic" / "Train", tmp_path):
        with pytest.raises(UserError, match=rf"did you mean data\.root={tmp_path}/v2\?"):
            open_with(data, "lol_v2_synthetic", given)


def test_a_root_of_pairs_at_the_wrong_level_gets_a_suggestion(data, tmp_path, image):
    for kind in ("low", "high"):
        image(tmp_path / "set" / kind / "1.png", 4, 6)
    for given in (tmp_path / "set" / "low", tmp_path):
        with pytest.raises(UserError, match=rf"low is not a folder; did you mean data\.root={tmp_path}/set\?"):
            open_with(data, "paired", given)


def test_folder_names_in_another_case_are_accepted(tmp_path, image):
    for kind in ("low", "normal"):
        image(tmp_path / "Synthetic" / "Train" / kind / "1.png", 4, 6)
    listing = find_pairs("lol_v2_synthetic", str(tmp_path), split="train", scale=1)
    assert ([pair.name for pair in listing.pairs], listing.defects) == (["1"], [])


@pytest.mark.parametrize(("low", "high"), [("input", "gt"), ("input", "target"), ("LQ", "GT")])
def test_other_folder_names_are_recognised_if_one_fits(tmp_path, image, low, high):
    for kind in (low, high):
        image(tmp_path / kind / "1.png", 4, 6)
    listing = find_pairs("paired", str(tmp_path), split="train", scale=1)
    assert [(pair.low, pair.reference) for pair in listing.pairs] == [
        (tmp_path / low / "1.png", tmp_path / high / "1.png")
    ]
    assert listing.defects == []


def test_two_folders_with_a_fitting_name_are_an_error(data, tmp_path, image):
    for kind in ("input", "dark", "gt"):
        image(tmp_path / kind / "1.png", 4, 6)
    with pytest.raises(UserError, match=rf"1 missing folder: {tmp_path}/low: there is no such folder"):
        open_with(data, "paired", tmp_path)


def test_low_images_of_the_size_of_their_references_are_not_shrunk_silently(data, tmp_path, image, caplog):
    for kind in ("low", "high"):
        image(tmp_path / kind / "1.png", 8, 8)
    data.update({"dataset": "paired", "root": str(tmp_path)})
    open_source(data, scale=2)
    assert "1 low images are as large as their references and are shrunk by 2" in caplog.text
    data.downscale = "never"
    with pytest.raises(UserError, match=r"a model of scale 1 keeps the size: configs/pairs_x1\.py"):
        open_source(data, scale=2)


def test_names_with_a_suffix_get_a_suggestion(data, tmp_path, image):
    for k in (1, 2):
        image(tmp_path / "low" / f"000{k}x2.png", 4, 6)
        image(tmp_path / "high" / f"000{k}.png", 8, 12)
    with pytest.raises(UserError, match=r"did you mean 0001x2 for 0001\? The name ends in 'x2'"):
        open_with(data, "paired", tmp_path)


def test_defects_are_named(data, pairs, image):
    image(pairs / "low" / "9.png", 12, 16)
    with pytest.raises(UserError, match=r"1 unpaired: .*low/9\.png"):
        open_with(data, "paired", pairs)
    image(pairs / "high" / "9.jpg", 20, 32)
    with pytest.raises(UserError, match=r"1 sizes: .*9\.png.*9\.jpg: low is 16x12, reference 32x20"):
        open_with(data, "paired", pairs)
    image(pairs / "high" / "9.png", 24, 32)
    with pytest.raises(UserError, match=r"1 duplicate name: .*high/9\.jpg, .*high/9\.png"):
        open_with(data, "paired", pairs)


def test_many_defects_are_counted_and_only_the_first_named(data, pairs, image):
    for k in range(10, 18):
        image(pairs / "low" / f"{k}.png", 12, 16)
    with pytest.raises(UserError, match=r"8 unpaired: .*and 5 more") as caught:
        open_with(data, "paired", pairs)
    assert "low/12.png" in str(caught.value)
    assert "low/13.png" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_folder(data, tmp_path):
    (tmp_path / "low").mkdir()
    (tmp_path / "high").mkdir()
    with pytest.raises(UserError, match=r"2 empty folder: .*low.*high"):
        open_with(data, "paired", tmp_path)


def test_listings_are_in_natural_order(tmp_path, image):
    for name in ("10", "9", "100"):
        image(tmp_path / "low" / f"{name}.png", 2, 2)
        image(tmp_path / "high" / f"{name}.png", 4, 4)
    listing = find_pairs("paired", str(tmp_path), split="train", scale=2)
    assert [pair.name for pair in listing.pairs] == ["9", "10", "100"]
