"""Losses: pure functions of images (b, h, w, c) that return one value per example (b,), named as in the papers."""
