"""Files of weights: PyTorch, pickle and safetensors formats, read without executing them; the asset store; downloads.

This package handles formats, not networks. Importers of released weights are next to their networks, in `models` and
`backbones`.
"""
