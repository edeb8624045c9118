"""Descriptions, heads and the ONNX wrapper, with small detectors made here and NanoDet."""

import dataclasses
import json

import numpy as np
import pytest

from ultrabm_jax.detection import Description, Detector, read_description
from ultrabm_jax.detection.description import CLASS_LISTS, COCO_CLASSES, PRESETS
from ultrabm_jax.detection.heads import HEADS, decode
from ultrabm_jax.detection.preprocess import to_image, to_input
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image

SMALL = {"size": (64, 96), "classes": ("cat", "dog")}


def describe(head, **fields):
    return Description(head, **{**SMALL, **fields})


def test_coco_has_eighty_classes():
    assert len(COCO_CLASSES) == 80
    assert (COCO_CLASSES[0], COCO_CLASSES[9], COCO_CLASSES[79]) == ("person", "traffic light", "toothbrush")


def test_torchvision_counts_classes_by_the_ids_of_coco():
    """As torchvision.models._meta._COCO_CATEGORIES: 0 is the background, and 10 ids have no images."""
    classes = PRESETS["torchvision"].classes
    assert classes == CLASS_LISTS["coco91"]
    assert len(classes) == 91
    ids = {1: "person", 3: "car", 11: "fire hydrant", 13: "stop sign", 27: "backpack", 31: "handbag", 46: "wine glass",
           62: "chair", 67: "dining table", 70: "toilet", 72: "tv", 84: "book", 90: "toothbrush"}  # fmt: skip
    assert {k: classes[k] for k in ids} == ids
    assert tuple(name for name in classes if name in COCO_CLASSES) == COCO_CLASSES


def test_yolox_cell_becomes_a_box():
    """Strides 32 alone: 2 x 3 cells. Cell (1, 2) predicts centre (2.5, 1.5) and size e^0 = 1, in cells."""
    output = np.full((1, 6, 7), -9.0, np.float32)
    output[..., 4:] = 0
    output[0, 5] = [0.5, 0.5, 0, 0, 0.8, 0.1, 0.9]
    (found,) = decode([output], describe("yolox", strides=(32,)))
    best = found.scores.max(axis=1).argmax()
    np.testing.assert_allclose(found.boxes[best], [64, 32, 96, 64])
    assert found.scores[best] == pytest.approx([0.08, 0.72])


def test_nanodet_distances_are_expected_values():
    """A distribution that is certain of bin 1 on every side gives one stride in each direction."""
    scores, distances = np.zeros((1, 6, 2), np.float32), np.zeros((1, 6, 4 * 8), np.float32)
    scores[0, 4, 1] = 0.9
    distances.reshape(1, 6, 4, 8)[..., 1] = 50
    (found,) = decode([scores, distances], describe("nanodet", strides=(32,)))
    np.testing.assert_allclose(found.boxes[4], [16, 16, 80, 80], atol=1e-4)
    assert found.scores[4, 1] == np.float32(0.9)


@pytest.mark.parametrize("normalised", [False, True])
def test_heads_with_centres_and_corners_agree(normalised):
    unit = np.array([96, 64, 96, 64], np.float32) if normalised else np.ones(4, np.float32)
    centre, corners = np.array([48, 32, 24, 16], np.float32) / unit, np.array([36, 24, 60, 40], np.float32) / unit
    scores = np.array([0.25, 0.75], np.float32)
    outputs = {
        "yolov5": [np.concatenate([centre, [1], scores])[None, None]],
        "yolov8": [np.concatenate([centre, scores])[None, :, None]],
        "boxes_scores": [corners[None, None, None], scores[None, None]],
    }
    for head, output in outputs.items():
        (found,) = decode([x.astype(np.float32) for x in output], describe(head, normalised=normalised))
        np.testing.assert_allclose(found.boxes, [[36, 24, 60, 40]], atol=1e-5)
        np.testing.assert_allclose(found.scores, [scores])


def test_final_head_spreads_labels():
    output = [np.array([[1, 2, 3, 4]], np.float32), np.array([1]), np.array([0.7], np.float32)]
    (found,) = decode(output, describe("final"))
    np.testing.assert_allclose(found.scores, [[0, 0.7]])
    output[1] = np.array([2])
    with pytest.raises(UserError, match=r"labels go from 2 to 2, but its description has 2 classes"):
        decode(output, describe("final"))


@pytest.mark.parametrize("head", HEADS)
def test_outputs_that_do_not_fit_are_one_line_with_the_shapes(head):
    with pytest.raises(UserError, match=rf"head '{head}' with 2 classes at 96x64 has .*the file gives \(1, 3\)"):
        decode([np.zeros((1, 3), np.float32)], describe(head))


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_boxes_return_to_the_image(resize):
    description = describe("yolox", resize=resize)
    image = np.zeros((50, 200, 3), np.float32)
    image[10:30, 40:80] = 1
    placed, placement = to_input(image, description)
    rows, columns = np.nonzero(placed[0] * 255 > 128)
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    np.testing.assert_allclose(to_image(box, placement), [[40, 10, 80, 30]], atol=2.1)  # a pixel of the input
    assert to_image(np.array([[-5, -5, 999, 999]], np.float32), placement).tolist() == [[0, 0, 200, 50]]
    if resize == "letterbox":
        assert placed[0, -1, 0] * 255 == pytest.approx(114)


def test_input_order_mean_and_layout():
    image = np.broadcast_to(np.array([1.0, 0.5, 0.0], np.float32), (64, 96, 3))
    nhwc, _ = to_input(image, describe("yolox", layout="nhwc", colours="bgr", mean=(1, 2, 3), std=(2, 2, 2)))
    assert nhwc.shape == (64, 96, 3)
    assert nhwc[0, 0] == pytest.approx([-0.5, (127.5 - 2) / 2, (255 - 3) / 2])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head": "nohead", "size": [1, 1]}, "head is 'nohead'; known: nanodet"),
        ({"head": "yolox"}, "a description has head and size"),
        ({"head": "yolox", "size": [640, 640], "colors": "rgb"}, "a description has head and size"),
        ({"head": "yolox", "size": [640]}, "size takes 2 numbers"),
        ({"head": "yolox", "size": [640, 640], "classes": ["a", "a"]}, "classes are a list of names, each once"),
        ({"head": "yolox", "size": [640, 640], "resize": "crop"}, "resize is 'crop'"),
        ({"head": "yolox", "size": 640}, "size takes 2 numbers, not 640"),
        ({"head": "yolox", "size": [640, 0]}, "size takes positive integers"),
        ({"head": "yolox", "size": [640.5, 640]}, "size takes positive integers"),
        ({"head": "yolox", "size": [640, 640], "strides": 8}, "strides takes one or more numbers, not 8"),
        ({"head": "yolox", "size": [640, 640], "std": [1, 0, 1]}, "std has a zero"),
        ({"head": "yolox", "size": [640, 640], "nms": "weak"}, "nms takes a number, not 'weak'"),
        ({"head": "yolox", "size": [640, 640], "normalised": "yes"}, "normalised is true or false, not 'yes'"),
        ({"head": "yolox", "size": [640, 640], "classes": "cat"}, "classes are a list of names, each once"),
        ({"head": "yolox", "size": [640, 640], "classes": [1, 2]}, "classes are a list of names, each once"),
    ],
)
def test_wrong_descriptions_are_one_line(tmp_path, fields, message):
    (tmp_path / "d.json").write_text(json.dumps(fields))
    with pytest.raises(UserError, match=message) as error:
        read_description(str(tmp_path / "d.json"))
    assert "\n" not in str(error.value)


def test_descriptions_by_name_and_file(tmp_path):
    (tmp_path / "d.json").write_text(json.dumps({"head": "yolox", "size": [640, 640], "classes": "coco"}))
    assert read_description(str(tmp_path / "d.json")).classes == COCO_CLASSES
    assert read_description("yolox") is PRESETS["yolox"]
    with pytest.raises(UserError, match="unknown description 'yolo'; known: nanodet"):
        read_description("yolo")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        read_description("none.json")


def own_detector(path, *, height=32, width=48, batch="b"):
    """An ONNX file in a layout of its own: one box, the input's bright part is not looked at. boxes_scores, NHWC."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    image = helper.make_tensor_value_info("image", kind, [batch, height, width, 3])
    boxes = helper.make_tensor_value_info("boxes", kind, ["b", 1, 4])
    scores = helper.make_tensor_value_info("scores", kind, ["b", 1, 2])
    axes = helper.make_tensor("axes", onnx.TensorProto.INT64, [3], [1, 2, 3])
    box = helper.make_tensor("box", kind, [1, 1, 4], [0.25, 0.25, 0.75, 0.5])
    weights = helper.make_tensor("weights", kind, [1, 1, 2], [1.0, 0.0])
    shape = helper.make_tensor("shape", onnx.TensorProto.INT64, [3], [-1, 1, 1])
    zero = helper.make_tensor("zero", kind, [1], [0.0])
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "shape"], ["means"]),
        helper.make_node("Mul", ["means", "weights"], ["scores"]),  # the score of class 0 is the mean of the input
        helper.make_node("Mul", ["means", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "box"], ["boxes"]),
    ]
    graph = helper.make_graph(nodes, "own", [image], [boxes, scores], [axes, box, weights, shape, zero])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    description = {"head": "boxes_scores", "size": [height, width], "resize": "stretch", "layout": "nhwc",
                   "normalised": True, "classes": ["bright", "other"]}  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(description))
    return str(path), str(path.with_suffix(".json"))


@pytest.mark.parametrize("batch", ["b", 1, 4])
def test_a_detector_of_ones_own_needs_only_a_description(tmp_path, batch):
    pytest.importorskip("onnxruntime")
    file, description = own_detector(tmp_path / "own.onnx", batch=batch)
    images = [np.full((100, 200, 3), value, np.float32) for value in (0.9, 0.0, 0.5)]
    found = Detector(file, read_description(description))(images)
    assert [list(f.labels) for f in found] == [["bright"], [], ["bright"]]
    np.testing.assert_allclose(found[0].boxes, [[50, 25, 150, 50]], atol=1e-3)
    assert [float(f.scores[0]) for f in found if len(f.scores)] == pytest.approx([0.9, 0.5], abs=1e-3)


def torchvision_detector(path, *, batch=True, kind="FLOAT"):
    """An ONNX file in the form of torchvision's exports: one box, the label 1, and the mean of the image as score."""
    onnx = pytest.importorskip("onnx")
    helper, number = onnx.helper, getattr(onnx.TensorProto, kind)
    image = helper.make_tensor_value_info("image", number, [1, 3, 32, 48] if batch else [3, 32, 48])
    outputs = [("boxes", number, [1, 4]), ("labels", onnx.TensorProto.INT64, [1]), ("scores", number, [1])]
    constants = [
        helper.make_tensor("boxes_", number, [1, 4], [12.0, 8.0, 36.0, 16.0]),
        helper.make_tensor("labels_", onnx.TensorProto.INT64, [1], [1]),
        helper.make_tensor("one", onnx.TensorProto.INT64, [1], [1]),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "one"], ["scores"]),
        helper.make_node("Identity", ["boxes_"], ["boxes"]),
        helper.make_node("Identity", ["labels_"], ["labels"]),
    ]
    values = [helper.make_tensor_value_info(*output) for output in outputs]
    graph = helper.make_graph(nodes, "torchvision", [image], values, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


@pytest.mark.parametrize(("batch", "kind"), [(True, "FLOAT"), (False, "FLOAT"), (False, "FLOAT16"), (True, "DOUBLE")])
def test_files_in_the_form_of_torchvision(tmp_path, batch, kind):
    pytest.importorskip("onnxruntime")
    description = dataclasses.replace(PRESETS["torchvision"], size=(32, 48), resize="stretch")
    detector = Detector(torchvision_detector(tmp_path / "tv.onnx", batch=batch, kind=kind), description)
    found = detector([np.full((64, 96, 3), 0.5, np.float32), np.full((32, 48, 3), 0.25, np.float32)])
    assert [one.labels for one in found] == [["person"], ["person"]]
    np.testing.assert_allclose([one.boxes[0] for one in found], [[24, 16, 72, 32], [12, 8, 36, 16]])
    np.testing.assert_allclose([one.scores[0] for one in found], [0.5, 0.25], atol=1e-3)


def test_an_input_of_integers_and_a_file_that_fails_are_one_line(tmp_path):
    pytest.importorskip("onnxruntime")
    file = torchvision_detector(tmp_path / "tv.onnx", kind="INT32")
    description = dataclasses.replace(PRESETS["torchvision"], size=(32, 48))
    with pytest.raises(UserError, match=r"tv\.onnx: the input is tensor\(int32\); known: tensor\(float\)"):
        Detector(file, description)
    detector = Detector(torchvision_detector(file), description)
    with pytest.raises(UserError, match=r"tv\.onnx: ONNX Runtime cannot run it: .*(dimension|rank|shape)"):
        detector._run(np.zeros((1, 3, 31, 48), np.float32))


def test_files_that_do_not_fit_are_one_line(tmp_path):
    pytest.importorskip("onnxruntime")
    file, description = own_detector(tmp_path / "own.onnx")
    fitting = read_description(description)
    with pytest.raises(UserError, match=r"the input has the shape .*32, 48, 3.*, but the description says .*3, 640"):
        Detector(file, PRESETS["yolox"])
    with pytest.raises(UserError, match="there is no such detector file"):
        Detector(tmp_path / "none.onnx", fitting)
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(UserError, match="ONNX Runtime cannot load it") as error:
        Detector(tmp_path / "bad.onnx", fitting)
    assert "\n" not in str(error.value)
    swapped = Description(**{**fitting.__dict__, "classes": ("a", "b", "c")})
    with pytest.raises(UserError, match=r"with 3 classes at 48x32 has \(b, n, 4\), \(b, n, 3\); the file gives"):
        Detector(file, swapped)([np.zeros((8, 8, 3), np.float32)])


def test_nanodet_finds_the_objects_of_bright_photos(shared):
    pytest.importorskip("onnxruntime")
    detector = Detector(shared / "assets" / "nanodet_coco.onnx", read_description("nanodet"))
    photos = {p.stem: p for p in (shared / "data" / "photos" / "kodak24").iterdir()}
    parrots, plane = detector([read_image(photos[name]).rgb for name in ("23", "20")])
    birds = parrots.above(0.5)
    assert list(birds.labels) == ["bird", "bird"]
    assert birds.boxes[0] == pytest.approx([393, 102, 768, 508], abs=8)  # looked at
    assert plane.labels[0] == "airplane"
    assert plane.scores[0] > 0.7
