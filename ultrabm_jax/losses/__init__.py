"""Losses: pure functions of (b, h, w, c) arrays, one value per example (b,), named as in the papers."""
