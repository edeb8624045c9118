"""AP, precision, recall and IoU on hand-made boxes with known results."""

import json

import numpy as np
import pytest

from ultrabm_jax.detection.boxes import Detections, Truth, iou
from ultrabm_jax.detection.coco import average_precision
from ultrabm_jax.detection.matching import match_all
from ultrabm_jax.detection.nms import suppress

pytest.importorskip("pycocotools")
SIZE = (200, 300)
BOXES = np.array([[10, 10, 60, 60], [100, 20, 180, 120], [200, 100, 290, 190]], np.float32)
TRUTH = {"a": Truth.of_boxes(SIZE, BOXES, ["cat", "dog", "cat"]), "b": Truth.of_boxes(SIZE, BOXES[:1], ["dog"])}


def found(boxes, scores, labels):
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), list(labels))


PERFECT = {"a": found(BOXES, [0.9, 0.8, 0.7], ["cat", "dog", "cat"]), "b": found(BOXES[:1], [0.6], ["dog"])}
NONE = {"a": found([], [], []), "b": found([], [], [])}


def test_perfect_detections():
    precision = average_precision(TRUTH, PERFECT, resamples=20)
    scores = precision.scores
    assert scores["ap"] == scores["ap50"] == scores["ap75"] == scores["ar100"] == pytest.approx(1)
    assert precision.by_class == {"cat": pytest.approx(1), "dog": pytest.approx(1)}
    assert precision.intervals()["ap"] == pytest.approx([1, 1])
    assert match_all(TRUTH, PERFECT, confidence=0.5).scores() == {"precision": 1, "recall": 1, "iou": 1}


def test_empty_detections():
    precision = average_precision(TRUTH, NONE, resamples=5)
    assert precision.scores["ap"] == precision.scores["ar100"] == 0
    assert precision.by_class == {"cat": 0, "dog": 0}
    assert match_all(TRUTH, NONE, confidence=0.5).scores() == {"precision": None, "recall": 0, "iou": None}


def test_no_objects_have_no_score():
    empty = {"a": Truth.of_boxes(SIZE, np.zeros((0, 4)), [])}
    precision = average_precision(empty, {"a": PERFECT["a"]})
    assert set(precision.scores.values()) == set(precision.intervals().values()) == {None}
    assert precision.gain(precision) == (None, None)
    assert precision.by_class == {}
    assert match_all(empty, {"a": PERFECT["a"]}, confidence=0.5).scores()["recall"] is None


def test_a_shift_counts_up_to_its_overlap():
    """80 pixels of width shifted by 20: IoU 60 / 100, which is enough at .50, .55 and .60."""
    truth = {"a": Truth.of_boxes(SIZE, [[100, 20, 180, 120]], ["dog"])}
    shifted = {"a": found([[120, 20, 200, 120]], [0.9], ["dog"])}
    scores = average_precision(truth, shifted).scores
    assert (scores["ap50"], scores["ap75"]) == (pytest.approx(1), 0)
    assert scores["ap"] == pytest.approx(3 / 10)
    assert match_all(truth, shifted, confidence=0.5).scores()["iou"] == pytest.approx(0.6)


def test_a_duplicate_is_a_false_positive():
    """The duplicate scores higher than the second object: precision at full recall is 2/3, interpolated from rank 2."""
    truth = {"a": Truth.of_boxes(SIZE, BOXES[:2], ["cat", "cat"])}
    doubled = {"a": found(BOXES[[0, 0, 1]], [0.9, 0.8, 0.7], ["cat"] * 3)}
    scores = average_precision(truth, doubled).scores
    assert scores["ap50"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert match_all(truth, doubled, confidence=0.5).scores() == {"precision": 2 / 3, "recall": 1, "iou": 1}


def test_a_missing_object_limits_recall():
    part = {"a": found(BOXES[:1], [0.9], ["cat"]), "b": NONE["b"]}
    precision = average_precision(TRUTH, part)
    assert precision.by_class == {"cat": pytest.approx(51 / 101), "dog": 0}
    assert precision.scores["ap50"] == pytest.approx(51 / 202)
    assert match_all(TRUTH, part, confidence=0.5).scores()["recall"] == 1 / 4


def test_another_class_and_a_low_score_do_not_match():
    wrong = {"a": found(BOXES[:2], [0.9, 0.2], ["dog", "dog"]), "b": NONE["b"]}
    assert match_all(TRUTH, wrong, confidence=0.5).scores() == {"precision": 0, "recall": 0, "iou": None}


def test_crowds_are_neither_objects_nor_errors():
    crowd = Truth(SIZE, BOXES, ["cat", "dog", "cat"], np.array([False, False, True]))
    on_crowd = {"a": found(BOXES, [0.9, 0.8, 0.7], ["cat", "dog", "cat"])}
    assert match_all({"a": crowd}, on_crowd, confidence=0.5).scores() == {"precision": 1, "recall": 1, "iou": 1}
    assert match_all({"a": crowd}, on_crowd, confidence=0.5).objects == 2
    assert average_precision({"a": crowd}, on_crowd).scores["ap"] == pytest.approx(1)


def test_values_equal_those_of_pycocotools_on_its_own_files(tmp_path):
    """Random boxes, written as COCO's JSON and evaluated by the library's documented calls."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(0)
    truth, detections, images, objects, results = {}, {}, [], [], []
    for number in range(1, 9):
        boxes = rng.uniform(0, 150, (5, 2)).round(1)
        boxes = np.concatenate([boxes, boxes + rng.uniform(5, 120, (5, 2)).round(1)], axis=1).astype(np.float32)
        labels = [("cat", "dog")[k % 2] for k in range(5)]
        noisy = (boxes + rng.normal(0, 6, boxes.shape)).astype(np.float32)
        scores = rng.uniform(0.1, 1, 5).astype(np.float32)
        truth[str(number)] = Truth.of_boxes((300, 300), boxes, labels)
        detections[str(number)] = found(noisy, scores, labels)
        images.append({"id": number, "width": 300, "height": 300, "file_name": f"{number}.jpg"})
        for k in range(5):
            (x, y, r, b), category = map(float, boxes[k]), 1 + k % 2
            entry = {"image_id": number, "category_id": category, "bbox": [x, y, r - x, b - y], "iscrowd": 0}
            objects.append({**entry, "id": len(objects) + 1, "area": (r - x) * (b - y)})
            x, y, r, b = map(float, noisy[k])
            box = [x, y, r - x, b - y]
            results.append({"image_id": number, "category_id": category, "bbox": box, "score": float(scores[k])})
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    (tmp_path / "truth.json").write_text(
        json.dumps({"images": images, "annotations": objects, "categories": categories})
    )
    (tmp_path / "results.json").write_text(json.dumps(results))
    annotated = COCO(str(tmp_path / "truth.json"))
    program = COCOeval(annotated, annotated.loadRes(str(tmp_path / "results.json")), "bbox")
    program.evaluate()
    program.accumulate()
    program.summarize()
    precision = average_precision(truth, detections, resamples=50)
    scores, intervals = precision.scores, precision.intervals()
    own = [scores[name] for name in ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100")]
    assert own == pytest.approx([program.stats[k] for k in (0, 1, 2, 3, 4, 5, 8)], abs=1e-6)
    assert intervals["ap"][0] < scores["ap"] < intervals["ap"][1]


def test_gain_is_paired():
    """Both methods are measured on the same resampled images, so a method does not differ from itself."""
    part = {"a": found(BOXES[:1], [0.9], ["cat"]), "b": NONE["b"]}
    better, worse = average_precision(TRUTH, PERFECT, resamples=50), average_precision(TRUTH, part, resamples=50)
    gain, interval = better.gain(worse)
    assert gain == pytest.approx(1 - 51 / 202)
    # Samples: both images, the first twice (one of two cats, no dog: 51 / 202), or the second twice (no dog found).
    assert interval == pytest.approx([1 - 51 / 202, 1])
    assert worse.intervals()["ap"] == pytest.approx([0, 51 / 202])
    assert worse.gain(worse) == (0, pytest.approx([0, 0]))


def test_iou_and_suppression():
    overlap = iou(BOXES[:1], np.array([[10, 10, 60, 60], [35, 10, 85, 60], [70, 70, 80, 80]], np.float32))
    assert overlap[0] == pytest.approx([1, 1 / 3, 0])
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10]], np.float32)
    scores, classes = np.array([0.5, 0.9, 0.4]), np.array([0, 0, 1])
    assert list(suppress(boxes, scores, classes, overlap=0.6)) == [1, 2]
    assert list(suppress(boxes, scores, classes, overlap=1.0)) == [1, 0, 2]
    assert list(suppress(boxes, scores, classes, overlap=0.6, limit=1)) == [1]
    assert list(suppress(boxes[:0], scores[:0], classes[:0], overlap=0.6)) == []


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.6, 1.0])
def test_suppression_equals_its_definition(overlap):
    """Each box in order of score, kept unless a kept one of its class overlaps it too much. Scores have ties."""
    rng = np.random.default_rng(3)
    boxes = rng.uniform(0, 60, (200, 2))
    boxes = np.concatenate([boxes, boxes + rng.uniform(0, 40, (200, 2))], axis=1).astype(np.float32)
    scores, classes = rng.integers(0, 50, 200) / 50, rng.integers(0, 3, 200)
    overlaps, kept = iou(boxes, boxes), []
    for i in np.argsort(-scores, kind="stable"):
        if all(classes[i] != classes[j] or overlaps[j, i] <= overlap for j in kept):
            kept.append(i)
    assert list(suppress(boxes, scores, classes, overlap=overlap)) == kept
    assert list(suppress(boxes, scores, classes, overlap=overlap, limit=20)) == kept[:20]
