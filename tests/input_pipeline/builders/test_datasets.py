"""Every builder on fake data of its true layout, with TFDS's own test case, and the content of the examples."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from input_pipeline import open_source  # noqa: E402
from input_pipeline.builders import BUILDERS, builder_class, open_builder  # noqa: E402
from input_pipeline.builders.coco_dark import CocoDark  # noqa: E402
from input_pipeline.builders.dark_folder import DarkFolder  # noqa: E402
from input_pipeline.builders.darkface import Darkface, held_names  # noqa: E402
from input_pipeline.builders.lol import Lol  # noqa: E402
from input_pipeline.builders.photos import Photos  # noqa: E402
from input_pipeline.builders.rellisur import Rellisur  # noqa: E402
from input_pipeline.builders.sid import Sid  # noqa: E402
from input_pipeline.sampling import image_rng  # noqa: E402
from ultrabm_jax.config import default_config  # noqa: E402
from ultrabm_jax.errors import UserError  # noqa: E402
from ultrabm_jax.image import read_rgb_uint8  # noqa: E402
from ultrabm_jax.image.gamma_darkness import darken_by_gamma  # noqa: E402
from ultrabm_jax.raw import read_raw  # noqa: E402
from ultrabm_jax.raw.rendering import render_reference  # noqa: E402


class OnFakeData(tfds.testing.DatasetBuilderTestCase):
    """TFDS's checks: features, counts, reading back, no example in two splits."""

    __test__ = False
    FIXTURE: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _root(self, request):
        type(self).EXAMPLE_DIR = request.getfixturevalue(self.FIXTURE)


class TestRellisur(OnFakeData):
    __test__ = True
    DATASET_CLASS, FIXTURE = Rellisur, "rellisur_root"
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["x2"]
    SPLITS: ClassVar = {
        **{"train": 15, "val": 10, "test": 10},
        **{"train_reference": 3, "val_reference": 2, "test_reference": 2},
    }


class TestLol(OnFakeData):
    __test__ = True
    DATASET_CLASS, FIXTURE = Lol, "lol_root"
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["v1"]
    SPLITS: ClassVar = {"train": 12, "test": 3}


class TestLolDrgn(TestLol):
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["v1_drgn"]
    SPLITS: ClassVar = {"train": 7, "test": 8}


class TestLolScenes(TestLol):
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["v1_scenes"]
    SPLITS: ClassVar = {"train": 11, "val": 1, "test": 3}


class TestLolV2(TestLol):
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["v2_real", "v2_synthetic"]
    SPLITS: ClassVar = {"train": 12, "test": 12}


class TestSid(OnFakeData):
    __test__ = True
    DATASET_CLASS, FIXTURE = Sid, "sid_root"
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["sony"]
    SPLITS: ClassVar = {
        **{"train": 3, "val": 3, "test": 3},
        **{"train_reference": 1, "val_reference": 1, "test_reference": 1},
    }


class TestDarkface(OnFakeData):
    __test__ = True
    DATASET_CLASS, FIXTURE = Darkface, "darkface_root"
    SPLITS: ClassVar = {"train": 2, "test": 3}


class TestDarkFolder(OnFakeData):
    __test__ = True
    DATASET_CLASS, FIXTURE = DarkFolder, "photo_root"
    SPLITS: ClassVar = {"test": 7}


class TestPhotos(OnFakeData):
    __test__ = True
    DATASET_CLASS, FIXTURE = Photos, "photo_root"
    SPLITS: ClassVar = {"train": 7}


class TestCocoDark(OnFakeData):
    __test__ = True
    DATASET_CLASS, FIXTURE = CocoDark, "coco_root"
    SPLITS: ClassVar = {"train": 3, "test": 2}


@pytest.fixture
def examples(tmp_path):
    """`examples(name, root)` prepares a data set; then {split: examples in the order of the files}."""

    def make(name: str, root: Path) -> dict[str, list[dict]]:
        builder = open_builder(name, tmp_path, root)
        builder.download_and_prepare()
        return {split: list(tfds.as_numpy(builder.as_dataset(split))) for split in builder.info.splits}

    return make


def names(these):
    return [example["name"].decode() for example in these]


def test_rellisur_ignores_duplicates(examples, rellisur_root):
    # Train has them and Val does not: the same references either way, and each once.
    splits = examples("rellisur/x1", rellisur_root)
    assert [len(splits[f"{split}_reference"]) for split in ("train", "val", "test")] == [3, 2, 2]
    for split in ("train", "val"):
        for reference in splits[f"{split}_reference"]:
            file = rellisur_root / split.title() / "NLHR" / "X1" / f"{reference['name'].decode()}.png"
            np.testing.assert_array_equal(reference["reference"], read_rgb_uint8(file))


def test_rellisur_maps_each_dark_image_to_the_reference_of_its_scene(examples, rellisur_root):
    splits = examples("rellisur/x4", rellisur_root)
    assert names(splits["train"])[:6] == [f"00001{ev}" for ev in ("-2.5", "-3.0", "-3.5", "-4.0", "-4.5")] + [
        "00002-2.5"
    ]
    assert names(splits["train_reference"]) == ["00001", "00002", "00736"]
    for folder, split in (("Train", "train"), ("Val", "val")):
        for example in splits[split]:
            name, scene = example["name"].decode(), example["scene"].decode()
            reference = splits[f"{split}_reference"][example["reference_index"]]
            assert name.startswith(scene)
            assert reference["scene"].decode() == scene
            assert example["group"].decode() == name[5:]
            low = read_rgb_uint8(rellisur_root / folder / "LLLR" / f"{name}.png")
            np.testing.assert_array_equal(example["low"], low)
            np.testing.assert_array_equal(
                reference["reference"], read_rgb_uint8(rellisur_root / folder / "NLHR" / "X4" / f"{scene}.png")
            )
            assert example["reference"].shape == reference["low"].shape == (0, 0, 3)
            assert reference["reference_index"] == -1


@pytest.mark.parametrize(("dataset", "builder", "scale"), [("rellisur", "rellisur/x2", 2), ("lol", "lol/v1", 1)])
def test_records_and_folders_give_the_same_pairs(data, request, tmp_path, dataset, builder, scale):
    root = request.getfixturevalue(f"{dataset}_root")
    open_builder(builder, tmp_path, root).download_and_prepare()
    for split in ("train", "eval"):
        data.update(dataset=dataset, root=str(root), records="")
        folder = open_source(data, scale=scale, split=split)
        data.update(root="", records=str(tmp_path))
        records = open_source(data, scale=scale, split=split)
        assert len(records) == len(folder)
        for i in range(len(folder)):
            assert (records.name(i), records.group(i)) == (folder.name(i), folder.group(i))
            for one, other in zip(records.pair(i), folder.pair(i), strict=True):
                np.testing.assert_array_equal(one, other)


def test_lol_scene_split_keeps_test_scenes_out_of_val(examples, lol_root):
    splits = examples("lol/v1_scenes", lol_root)
    scene = {example["name"].decode(): example["scene"].decode() for these in splits.values() for example in these}
    assert scene["11"] == scene["12"] == "11"
    assert scene["1"] == scene["20"] == "1"
    assert len(set(scene.values())) == 13
    of = {split: {scene[name] for name in names(these)} for split, these in splits.items()}
    assert not of["val"] & (of["train"] | of["test"])
    assert "20" in names(splits["train"])


def test_drgn_tests_on_the_official_images_and_five_more(examples, lol_root):
    splits = examples("lol/v1_drgn", lol_root)
    assert {"1", "22", "23"} < set(names(splits["test"]))
    assert sorted(names(splits["train"]) + names(splits["test"]), key=int) == [
        str(k) for k in (1, *range(9, 21), 22, 23)
    ]
    assert names(splits["train"]) == sorted(names(splits["train"]), key=int)


def test_lol_v2_pairs_both_naming_schemes(examples, lol_root):
    real = examples("lol/v2_real", lol_root)["train"]
    assert names(real)[:2] == ["00010", "00011"]
    part = lol_root / "Real_captured" / "Train"
    np.testing.assert_array_equal(real[0]["low"], read_rgb_uint8(part / "Low" / "low00010.png"))
    np.testing.assert_array_equal(real[0]["reference"], read_rgb_uint8(part / "Normal" / "normal00010.png"))
    synthetic = examples("lol/v2_synthetic", lol_root)["test"]
    assert names(synthetic)[0] == "r50"
    assert {example["scene"] for example in synthetic} == {b""}


@pytest.mark.parametrize(("camera", "period"), [("sony", 2), ("fuji", 6)])
def test_sid_keeps_samples_levels_and_exposures(examples, sid_root, camera, period):
    splits = examples(f"sid/{camera}", sid_root)
    folder, suffix = (sid_root / "Sony", "ARW") if camera == "sony" else (sid_root / "Fuji", "RAF")
    assert names(splits["test"]) == ["10001_00_0.04s", "10001_00_0.1s", "10001_01_0.04s"]
    for example in splits["test"]:
        mosaic = read_raw(folder / "short" / f"{example['name'].decode()}.{suffix}")
        np.testing.assert_array_equal(example["low"], mosaic.values)
        np.testing.assert_array_equal(example["black"], mosaic.black)
        assert example["black"].shape == (period, period)
        assert (example["cfa"].decode(), example["white"]) == (mosaic.cfa, 16383)
        assert (example["scene"], example["reference_index"], example["synthetic"]) == (b"10001", 0, False)
    short = splits["test"][1]
    assert [short[k] for k in ("burst", "iso", "ratio")] == [0, 201, 100]
    assert (short["exposure"], short["reference_exposure"]) == (np.float32(0.1), 10)
    assert [example["ratio"] for example in splits["val"]] == [250, 100, 250]
    assert [example["group"] for example in splits["val"]] == [b"-8.0", b"-6.6", b"-8.0"]
    (reference,) = splits["test_reference"]
    rendered = render_reference(folder / "long" / f"10001_00_10s.{suffix}")
    assert rendered.dtype == reference["reference"].dtype == np.uint16
    same = (reference["reference"] == rendered).all(axis=-1)
    assert same.all() if camera == "sony" else same.mean() > 0.99  # LibRaw's X-Trans threads: see sid.py
    assert reference["reference"].shape[:2] == short["low"].shape


def test_sid_reports_files_missing_from_its_lists(examples, sid_root, tmp_path):
    copy = Path(shutil.copytree(sid_root, tmp_path / "sid"))
    (copy / "Sony" / "short" / "00001_00_0.1s.ARW").unlink()
    (copy / "Sony" / "short" / "20001_00_0.1s.ARW").write_bytes(b"nothing")
    with (copy / "Sony_test_list.txt").open("a") as lines:
        lines.write("./Sony/short/1.ARW\n")
    with pytest.raises(UserError) as caught:
        examples("sid/sony", copy)
    for part in (
        "1 missing file: ", "00001_00_0.1s.ARW", "1 bad list line: ", "Sony_test_list.txt:4", "1 unreadable: ",
        "20001_00_0.1s.ARW",
    ):  # fmt: skip
        assert part in str(caught.value)
    with pytest.raises(UserError, match=r"Sony_train_list\.txt is not there.*Learning-to-See-in-the-Dark"):
        examples("sid/sony", tmp_path)


def test_darkface_list_is_fixed(examples, darkface_root):
    chosen = held_names()
    assert len(set(chosen)) == 100
    assert chosen[:3] == ["3684", "5160", "224"]
    splits = examples("darkface", darkface_root)
    assert set(names(splits["test"])) == set(chosen[:3])
    assert names(splits["test"]) == sorted(names(splits["test"]), key=int)


def test_coco_darkness_depends_only_on_the_name(examples, coco_root):
    for example in examples("coco_dark", coco_root)["train"]:
        name = example["name"].decode()
        reference = read_rgb_uint8(coco_root / "train2017" / f"{name}.jpg")
        np.testing.assert_array_equal(example["reference"], reference)
        np.testing.assert_array_equal(example["low"], darken_by_gamma(reference, image_rng(0, name)))
        assert example["low"].mean() < reference.mean()


def test_names_are_paths_below_the_folder(examples, photo_root):
    (train,) = examples("photos", photo_root).values()
    assert names(train) == ["trip/6", "trip/7", "1", "2", "3", "4", "5"]
    for example in train:
        np.testing.assert_array_equal(
            example["reference"], read_rgb_uint8(photo_root / f"{example['name'].decode()}.png")
        )


def test_defects_are_refused_before_anything_is_written(rellisur_root, lol_root, darkface_root, photos_copy, tmp_path):
    (photos_copy / "3.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"1 unreadable: .*photos/3\.png"):
        open_builder("photos", tmp_path / "records", photos_copy).download_and_prepare()
    with pytest.raises(UserError, match=r"our485 is not a folder: point --manual_dir"):
        open_builder("lol/v1", tmp_path / "records", photos_copy).download_and_prepare()
    with pytest.raises(UserError, match=r"image is not a folder\. DARK FACE"):
        open_builder("darkface", tmp_path / "records", photos_copy).download_and_prepare()
    assert not list(tmp_path.glob("records/*/**/*.tfrecord*"))


def test_every_builder_states_the_source_of_its_data():
    for name, (_, _, default) in BUILDERS.items():
        kind = builder_class(name)
        assert kind.name == name
        assert default in [config.name for config in kind.BUILDER_CONFIGS] or not default
        assert "manual_dir" in kind.instructions()
        info = open_builder(name, "nowhere").info
        assert info.description
        if name not in ("photos", "dark_folder"):
            for part in (info.citation, info.homepage, info.redistribution_info.license):
                assert part


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UserError, match=r"'lo' has no builder; choose one of: rellisur, lol, sid"):
        open_builder("lo", "nowhere")
    with pytest.raises(UserError, match=r"'lol/v3' is not known; choose one of: lol/v1, lol/v1_drgn"):
        open_builder("lol/v3", "nowhere")
    with pytest.raises(UserError, match=r"'photos/x' is not known; choose one of: photos"):
        open_builder("photos/x", "nowhere")


@pytest.mark.parametrize(
    ("name", "root", "count"), [("darkface", "darkface_root", 3), ("dark_folder", "photo_root", 7)]
)
def test_records_without_references_are_evaluated_but_not_trained_on(name, root, count, tmp_path, request):
    folder = request.getfixturevalue(root)
    open_builder(name, tmp_path, folder).download_and_prepare()
    data = default_config().data
    data.update({"dataset": name, "records": str(tmp_path)})
    source = open_source(data, scale=2, split="eval")
    assert (len(source), source.has_references) == (count, False)
    whole = source.whole(0)
    assert set(whole) == {"low"}
    np.testing.assert_array_equal(whole["low"], read_rgb_uint8(next(folder.rglob(f"{source.name(0)}.png"))))
    with pytest.raises(UserError):
        open_source(data, scale=2, split="train")
