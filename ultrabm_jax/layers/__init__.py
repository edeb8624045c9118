"""Layers shared by several networks.

Features are NHWC: (b, h, w, c). `width` is the number of channels, k a level of a U-Net, s a scale.
"""
