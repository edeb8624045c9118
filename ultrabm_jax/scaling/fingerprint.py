"""Recognises configs whose programs are equal for the compiler, so that each program is compiled once.

Configs that differ in data only lower to the same StableHLO text. Those that differ in loss weights, rates or other
scalar factors lower to texts that differ in floating-point constants of rank 0. The value of such a constant changes
neither memory nor arithmetic nor collectives, except that XLA may remove factors of 0 and 1.
"""

from __future__ import annotations

import hashlib
import re

_FACTOR = re.compile(r"dense<(-?\d+\.\d+[eE][+-]\d+)> : tensor<(f32|bf16)>")
_KEPT = (0.0, 1.0, -1.0)


def fingerprint(stablehlo: str) -> str:
    """SHA-256 of `stablehlo` (`lowered.as_text()`) without the values of scalar factors other than 0, 1 and -1."""
    return hashlib.sha256(_FACTOR.sub(_masked, stablehlo).encode()).hexdigest()


def _masked(match: re.Match[str]) -> str:
    return match[0] if float(match[1]) in _KEPT else f"dense<factor> : tensor<{match[2]}>"
