"""Evaluations as eval.py and `ultrabm-jax speed` write them, and the cells that they fill."""

import copy
import json
import re

from configs import ultrabm_rellisur_x2
from ultrabm_jax.report import tables
from ultrabm_jax.report.evaluations import find_evaluations
from ultrabm_jax.report.published import TABLES

CROPS = "data: whole images (paper: crops to multiples of 16, whose offset is unknown)"


def summary(**changes):
    config = copy.deepcopy(ultrabm_rellisur_x2.get_config())
    mean = {"psnr_rgb": 21.9876, "ssim_rgb": 0.7, "lpips_alex": None}
    found = {
        "model": "ultrabm", "dataset": "rellisur", "scale": 2, "count": 425, "step": 900, "mean": mean,
        "baselines": {"bicubic": {"psnr_rgb": 8.0, "ssim_rgb": 0.25, "lpips_alex": None}},
        "trained_on": "rellisur", "own_methods": ["ultrabm"],
        "selection": {"reason": "best psnr_rgb on rellisur val", "evaluation_set": None, "on_measured_images": False},
        "speed": {"parameters": 69_623_223, "gmacs_convolutions": 36.2, "milliseconds": 44.4},
        "config": json.loads(config.to_json()),
    }  # fmt: skip
    found["config"]["model"] |= {"semantic": "hrnet_w48"}
    found["config"]["loss"] |= {"perceptual": "vgg19"}
    for field, value in changes.items():
        place = found
        *parents, last = field.split("__")
        for part in parents:
            place = place[part]
        place[last] = value
    return found


def marked_cells(name, label, folders=()):
    """({row: [values]} of one quantity, and the column headings under "", {letter: note})."""
    number = [quantity.label for quantity in TABLES[name].quantities].index(label)
    evaluations = [(n, e) for n, e in enumerate(find_evaluations(folders), 1)]
    marks = tables.Marks()
    lines = tables.quantity_lines(TABLES[name], number, tables.evaluations_of(TABLES[name], evaluations), marks)
    return {row: values for row, *values in lines}, {letter: text for text, letter in marks.letters.items()}


def cells(name, label, folders=()):
    """The same without the letters of the notes."""
    found, _ = marked_cells(name, label, folders)
    return {row: [re.sub(r" \([a-z,]+\)$", "", value) for value in values] for row, values in found.items()}


def notes_of(name, label, folder, row):
    """The notes of the last value of a row."""
    found, notes = marked_cells(name, label, [folder])
    match = re.search(r" \(([a-z,]+)\)$", found[row][-1])
    return {notes[letter] for letter in match[1].split(",")} if match else set()


def speed_file(path, **changes):
    """A file of `ultrabm-jax speed` with one measurement of RED's released network."""
    speed = {"input": "2848x4256", "parameters": 784_768, "gmacs_convolutions": 59.58, "gmacs_one_generator": 59.58,
             "memory_gib": 1.5, "milliseconds": 2160.0, "device": "EPYC", "platform": "cpu", "cores": 2}  # fmt: skip
    record = {"name": "red", "scale": 1, "model": {"name": "red", "rdb": "star"}, "date": "2026-11-29",
              "versions": {"jax": "1"}, "speed": speed}  # fmt: skip
    for field, value in changes.items():
        (record if field in record else speed)[field] = value
    path.write_text(json.dumps({"speed": [record]}))
    return str(path)
