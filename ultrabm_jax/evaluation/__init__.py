"""Evaluates a trained model and baselines: metrics.json, per_image.csv, restored/*.png and report/index.html.

evaluator.py     the program            candidates.py, baselines.py   the methods that are compared
measure.py       restores and measures  image_result.py               the result of one image
protocols.py     the scores             foreign.py                    scores of other programs
statistics.py    means and intervals    results.py                    the files
ensemble.py      self-ensemble          speed.py                      parameters, arithmetic and time
folder_method.py images by others       written_images.py             images of all methods as files
"""

from ultrabm_jax.evaluation.evaluator import evaluate

__all__ = ["evaluate"]
