"""Invertible layers of conditional flows (Glow, SRFlow, LLFlow), in both directions.

A layer maps z (b, h, w, c) to (z', logdet) and, with `inverse=True`, z' back to z. logdet (b,) is the log absolute
determinant of the Jacobian of the requested direction; the two directions have opposite signs.

Everything is float32, with full float32 products on every device: TPUs and GPUs would otherwise round them to 8 or 11
bits, and the inverse would not be accurate.
"""
