"""UltraBM's task: RGB to RGB."""

from __future__ import annotations

from ultrabm_jax.models.task import Task


class UltraBMTask(Task):
    """Variables hold the semantic extractor's in the collection "frozen"."""

    extra_options = ("semantic_init",)  # read by the method, which loads the extractor
