"""Does restoring help a detector? Detections on dark, restored and reference images, measured with the COCO metrics.

boxes.py         detections and true boxes     description.py  how a detector's file is used
preprocess.py    image -> network input        heads.py        network outputs -> boxes and scores
nms.py           overlapping boxes             detector.py     the ONNX file
annotations.py   true boxes from files         methods.py      folders of images, result files
coco.py          AP by pycocotools             matching.py     precision, recall and IoU at one threshold
compare.py       the table of all methods      page.py         the images with boxes
"""

from ultrabm_jax.detection.boxes import Detections, Truth
from ultrabm_jax.detection.description import Description, read_description
from ultrabm_jax.detection.detector import Detector

__all__ = ["Description", "Detections", "Detector", "Truth", "read_description"]
