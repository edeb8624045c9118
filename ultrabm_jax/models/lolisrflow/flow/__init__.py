"""Invertible layers of conditional flows (Glow, SRFlow, LLFlow), in both directions.

A layer maps z (b, h, w, c) to (z', logdet), and z' back with `inverse=True`. logdet (b,) is the logarithm of the
absolute determinant of the Jacobian of the map that was asked for, so those of the two directions are opposite numbers.

Everything is float32, and products are of float32 precision on every device: TPUs and GPUs would round them to 8 or 11
bits, and the inverse would not be one.
"""
