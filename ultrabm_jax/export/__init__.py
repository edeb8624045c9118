"""Writes models for other engines: `ultrabm-jax export NAME|WORKDIR --format ...` (docs/export.md).

source.py          the model that a name or workdir means
weight_files.py    safetensors and PyTorch files, which this package also loads
stablehlo.py       StableHLO programs
onnx_file.py       ONNX programs; inline.py prepares them
difference.py      the check of an exported file
"""
