"""Annotations, methods, files and the page of `python -m ultrabm_jax.detection`."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from tests.detection.test_detector import own_detector
from ultrabm_jax.detection import Detections, Detector, page, read_description
from ultrabm_jax.detection import __main__ as command
from ultrabm_jax.detection.annotations import read_annotations
from ultrabm_jax.detection.boxes import Truth
from ultrabm_jax.detection.compare import check_classes, compare
from ultrabm_jax.detection.methods import detect, read_detections, write_detections
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image

pytest.importorskip("onnxruntime")
pytest.importorskip("pycocotools")
SIZES = {"a": (100, 200), "b": (100, 200)}
COCO = {
    "images": [{"id": 7, "file_name": "a.jpg", "height": 100, "width": 200}, {"id": 9, "file_name": "x/b.jpg"}],
    "categories": [{"id": 3, "name": "bright"}],
    "annotations": [
        {"image_id": 7, "category_id": 3, "bbox": [50, 25, 100, 25], "area": 1234.0, "iscrowd": 0},
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, 10, 10], "iscrowd": 1},
    ],
}


@pytest.fixture
def detector(tmp_path):
    return own_detector(tmp_path / "own.onnx")


@pytest.fixture
def folders(tmp_path):
    """Two scenes: dark (not found at .7), restored at twice the size, reference."""
    for method, value, factor in (("dark", 20, 1), ("restored", 180, 2), ("reference", 220, 1)):
        for name in ("a", "b"):
            path = tmp_path / method / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (200 * factor, 100 * factor), (value,) * 3).save(path)
    return [f"{method}={tmp_path / method}" for method in ("dark", "restored", "reference")]


def test_coco_annotations(tmp_path):
    (tmp_path / "coco.json").write_text(json.dumps(COCO))
    truth = read_annotations(tmp_path / "coco.json", SIZES)
    assert list(truth) == ["a"]
    assert truth["a"].boxes.tolist() == [[50, 25, 150, 50], [0, 0, 10, 10]]
    assert (truth["a"].crowd.tolist(), truth["a"].areas.tolist()) == ([False, True], [1234, 100])


def test_exdark_and_dark_face_annotations(tmp_path):
    (tmp_path / "a.png.txt").write_text("% bbGt version=3\nMotorbike 10 20 30 40 0 0 0 0 0 0 0\nPeople 1 2 3 4 0 0\n")
    (tmp_path / "b.txt").write_text("2\n1 2 11 12\n20 20 30 40\n")
    truth = read_annotations(tmp_path, SIZES)
    assert truth["a"].boxes.tolist() == [[10, 20, 40, 60], [1, 2, 4, 6]]
    assert list(truth["a"].labels) == ["motorcycle", "person"]
    assert truth["b"].boxes.tolist() == [[1, 2, 11, 12], [20, 20, 30, 40]]
    assert list(truth["b"].labels) == ["face", "face"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3\n1 2 3 4\n", "neither ExDark's format"),
        ("% bbGt version=3\nCat x 1 1 1\n", "a line of these annotations is not a box"),
        ("", "neither ExDark's format"),
    ],
)
def test_wrong_text_annotations(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        read_annotations(tmp_path, SIZES)


def test_wrong_coco_annotations(tmp_path):
    (tmp_path / "coco.json").write_text(json.dumps({"images": []}))
    with pytest.raises(UserError, match="not annotations in COCO's format"):
        read_annotations(tmp_path / "coco.json", SIZES)
    other = {"images": [{"id": 7, "file_name": "c.jpg"}], "annotations": []}
    (tmp_path / "coco.json").write_text(json.dumps(COCO | other))
    with pytest.raises(UserError, match="none of the 2 images is annotated"):
        read_annotations(tmp_path / "coco.json", SIZES)


@pytest.mark.parametrize("bad", [{"bbox": [1, 2, 3]}, {"bbox": ["x", 1, 2, 3]}, {"bbox": None}, {"area": "large"}])
def test_wrong_boxes_of_coco_are_one_line(tmp_path, bad):
    (tmp_path / "coco.json").write_text(json.dumps(COCO | {"annotations": [COCO["annotations"][0] | bad]}))
    with pytest.raises(UserError, match="not annotations in COCO's format"):
        read_annotations(tmp_path / "coco.json", SIZES)


def test_names_with_dots_survive_a_result_file(tmp_path):
    found = {name: Detections(np.float32([[1, 2, 3, 4]]), np.float32([0.5]), ["cat"]) for name in ("00018-4.5", "v1.2")}
    write_detections(tmp_path / "found.json", found)
    read = read_detections(str(tmp_path / "found.json"), list(found), None)
    assert list(read) == list(found)
    assert all(own.boxes.tolist() == [[1, 2, 3, 4]] for own in read.values())


def test_result_files_name_images_by_file_path_or_name(tmp_path):
    entry = {"category": "cat", "bbox": [0, 0, 1, 1], "score": 0.5}
    entries = [entry | {"file_name": name} for name in ("val/a.jpg", "a.png", "a", "val/a")]
    (tmp_path / "found.json").write_text(json.dumps(entries))
    assert len(read_detections(str(tmp_path / "found.json"), ["val/a"], None)["val/a"].labels) == 4


def test_ids_without_annotations_say_what_is_missing(tmp_path):
    (tmp_path / "found.json").write_text(json.dumps([{"image_id": 7, "category_id": 3, "bbox": [0] * 4, "score": 1}]))
    with pytest.raises(UserError, match=r"image_id and category_id need --annotations FILE\.json"):
        read_detections(str(tmp_path / "found.json"), ["a"], None)


def test_boxes_of_an_enlarged_image_are_noticed(tmp_path, folders, logged):
    (tmp_path / "coco.json").write_text(json.dumps(COCO))
    own = [{"image_id": 7, "category_id": 3, "bbox": [100, 50, 200, 50], "score": 0.9}]  # on a of twice the size
    (tmp_path / "own.json").write_text(json.dumps(own))
    results = {"theirs": str(tmp_path / "own.json")}
    compare(None, {"dark": str(tmp_path / "dark")}, results=results, annotations=str(tmp_path / "coco.json"))
    assert logged == [f"warning: {results['theirs']}: boxes reach beyond image a; they count in its 200x100 pixels"]


def test_true_classes_that_the_detector_does_not_know_are_named(logged):
    check_classes(("cat", "dog"), ("cat",))
    assert not logged
    check_classes(("cat", "dog"), ("cat", "cow"))
    assert logged == ["warning: the detector does not know cow: their ap of 0 counts in the mean of classes"]
    with pytest.raises(UserError, match=r"the detector knows no class of the truth \(face\); see its classes"):
        check_classes(("cat", "dog"), ("face",))


def test_pseudo_ground_truth_from_the_references(detector, folders, tmp_path):
    file, description = detector
    out = tmp_path / "out"
    arguments = ["--detector", file, "--description", description, "--output", str(out), "--images", *folders]
    assert command.main(arguments) == 0
    content = json.loads((out / "detections.json").read_text())
    assert (content["truth"], content["objects"], content["images"]) == ("pseudo_gt70", 2, 2)
    assert content["scores"]["reference"]["ap_pseudo_gt70"] == pytest.approx(1)
    assert content["scores"]["restored"]["recall_pseudo_gt70"] == 1
    assert content["scores"]["restored"]["iou_pseudo_gt70"] == pytest.approx(
        1, abs=1e-3
    )  # boxes are scaled to the truth
    assert content["scores"]["dark"]["recall_pseudo_gt70"] == 0
    assert "ap_pseudo_gt70" in (out / "table.md").read_text()
    with open(out / "table.csv", newline="") as table:
        assert [row["method"] for row in csv.DictReader(table)] == ["dark", "restored", "reference"]
    text = (out / "index.html").read_text()
    assert text.count('<section class="image">') == 2
    assert 'data-class="bright" data-score="0.706"' in text
    results = json.loads((out / "detections" / "restored.json").read_text())
    assert results[0]["file_name"] == "a"
    assert results[0]["bbox"] == pytest.approx([50, 25, 100, 25], abs=0.1)


def test_annotations_and_results_of_other_programs(detector, folders, tmp_path):
    (tmp_path / "coco.json").write_text(json.dumps(COCO))
    own = [{"image_id": 7, "category_id": 3, "bbox": [50, 25, 100, 25], "score": 0.9}]
    (tmp_path / "own.json.txt").write_text(json.dumps(own))
    out = tmp_path / "out"
    arguments = ["--images", folders[0], "--results", f"theirs={tmp_path / 'own.json.txt'}", "--output", str(out)]
    assert command.main([*arguments, "--annotations", str(tmp_path / "coco.json")]) == 0
    content = json.loads((out / "detections.json").read_text())
    assert content["truth"] == "annotations"
    assert content["scores"] == {"theirs": content["scores"]["theirs"]}
    assert content["scores"]["theirs"]["ap"] == pytest.approx(1)


@pytest.mark.parametrize("fixed", ["b", 1, 4])
def test_batches_in_parallel_equal_single_images(tmp_path, fixed):
    """Eleven images of different sizes and brightness, in files that take any batch, one image, or four."""
    file, description = own_detector(tmp_path / "own.onnx", batch=fixed)
    detector = Detector(file, read_description(description), threads=1)
    assert detector.batch == (None if fixed == "b" else fixed)
    paths, sizes = {}, {}
    for k in range(11):
        paths[f"{k}"] = tmp_path / f"{k}.png"
        Image.new("RGB", (100 + 10 * k, 50), (20 * k,) * 3).save(paths[f"{k}"])
        sizes[f"{k}"] = (100, 200)
    names = list(paths)
    single = [detector([read_image(paths[name]).rgb])[0] for name in names]
    for batch, workers in ((1, 1), (3, 2), (8, 4), (50, None)):
        found = list(detect(detector, paths, names, sizes, batch=batch, workers=workers))
        assert [list(f.scores) for f in found] == [pytest.approx(list(f.scores), abs=1e-6) for f in single]
        assert [len(f.labels) for f in found] == [0, *[1] * 10]
        for one in found[1:]:
            np.testing.assert_allclose(one.boxes, [[50, 25, 150, 50]], rtol=1e-5)  # scaled to 200x100
    assert detector([]) == []


def test_an_image_that_cannot_be_read_stops_the_command(detector, folders, tmp_path):
    file, description = detector
    (tmp_path / "restored" / "b.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"restored/b\.png"):
        command.main(["--detector", file, "--description", description, "--output", str(tmp_path / "o"), "--images",
                      *folders])  # fmt: skip


def test_the_reference_comes_last_and_gains_are_relative_to_the_first(detector, folders, tmp_path, capsys):
    file, description = detector
    out = tmp_path / "out"
    order = [folders[2], folders[0], folders[1]]
    command.main(["--detector", file, "--description", description, "--output", str(out), "--images", *order])
    scores = json.loads((out / "detections.json").read_text())["scores"]
    assert list(scores) == ["dark", "restored", "reference"]
    assert scores["dark"]["ap_gain_pseudo_gt70"] is None
    gain = scores["restored"]["ap_pseudo_gt70"] - scores["dark"]["ap_pseudo_gt70"]
    assert scores["restored"]["ap_gain_pseudo_gt70"] == pytest.approx(gain)
    printed = capsys.readouterr()
    assert "detector: 6 images in " in printed.out
    assert "[6/6] reference: b" in printed.err


def test_the_folders_of_an_evaluation(tmp_path):
    for name in ("gamma_bicubic", "reference", "input", "bicubic"):
        (tmp_path / "images" / name).mkdir(parents=True)
    assert list(command.evaluated_folders(tmp_path)) == ["input", "bicubic", "gamma_bicubic", "reference"]
    with pytest.raises(UserError, match=r"run eval\.py with --config\.eval\.images=all"):
        command.evaluated_folders(tmp_path / "images")


def test_errors_are_one_line(detector, folders, tmp_path):
    file, description = detector
    base = ["--detector", file, "--description", description, "--output", str(tmp_path / "out")]
    for arguments, message in (
        ([*base, "--images", folders[0]], "give --annotations FILE, or --images reference=DIR"),
        ([*base, "--images", "dark"], "--images takes NAME=PATH"),
        ([*base, "--images", folders[0], folders[0]], "names dark twice"),
        (base, "--images names no folder"),
        ([*base[4:], "--images", *folders], "nothing to measure: give --detector"),
        ([*base, "--images", *folders, "--batch", "0"], "--batch is at least 1"),
        ([*base, "--images", *folders, "--truth-confidence", "70"], "--truth-confidence is from 0 to 1"),
        ([*base, "--images", *folders, "--truth-confidence", "0.99"], r"the truth \(pseudo_gt99\) has no object in 2"),
    ):
        with pytest.raises(UserError, match=message):
            command.main(arguments)
    (tmp_path / "dark" / "b.png").unlink()
    with pytest.raises(UserError, match="dark lacks 1 of 2 images, such as b"):
        command.main([*base, "--images", *folders])


@pytest.mark.parametrize("size", [(100, 200), (400, 200)])
def test_texts_of_boxes_are_as_high_in_portrait_as_in_landscape(size):
    none, true = Detections(np.zeros((0, 4)), np.zeros(0), []), Truth.of_boxes(size, np.zeros((0, 4)), [])
    assert 'style="--em:3.7"' in page._overlay("dark", none, true, "dark", "restored")


def test_the_page_works_in_a_browser(detector, folders, tmp_path, browser):
    file, description = detector
    out = tmp_path / "out"
    dark, *others = folders  # the page opens with the best method on the right, not with the dark images again
    images = [dark, f"same={dark.removeprefix('dark=')}", *others]
    command.main(["--detector", file, "--description", description, "--output", str(out), "--images", *images])
    browser.open(out / "index.html", width=1000)
    visible = """[...document.querySelectorAll("section")[0].querySelectorAll("svg")].map((svg) => [
        svg.dataset.of, getComputedStyle(svg).visibility,
        [...svg.querySelectorAll("g:not(.true)")].filter((g) => g.getBoundingClientRect().width).length])"""
    assert browser.js(visible) == [
        ["dark", "visible", 0], ["same", "hidden", 0], ["restored", "visible", 1], ["reference", "hidden", 1]
    ]  # fmt: skip
    confidence = """(value) => {
        const range = document.getElementById("confidence");
        range.value = value;
        range.dispatchEvent(new Event("input"));
    }"""
    browser.js(f"({confidence})(5)")  # the dark image's box has .08
    assert browser.js(visible)[0] == ["dark", "visible", 1]
    assert browser.js("document.getElementById('value').textContent") == "0.05"
    browser.js(f"({confidence})(90)")
    assert [row[2] for row in browser.js(visible)] == [0, 0, 0, 0]
    truth = "document.querySelector('.boxes .true').getBoundingClientRect().width"
    assert browser.js(truth) > 0
    browser.js("document.getElementById('truth').click()")
    assert browser.js(truth) == 0
