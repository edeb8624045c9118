"""Files of learned data: PyTorch and pickle formats, read without executing them; the asset store; downloads.

This package knows formats, not networks. Importers of released weights live beside their networks in `models` and
`backbones`.
"""
