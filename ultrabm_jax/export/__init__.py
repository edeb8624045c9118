"""Writes models for other engines: `ultrabm-jax export NAME|WORKDIR --format ...` (docs/export.md).

source.py          the model that a name or workdir means
weight_files.py    safetensors and PyTorch files, which this package also loads
"""
