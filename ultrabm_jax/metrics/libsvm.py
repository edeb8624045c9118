"""Evaluation of LIBSVM's support vector machines with a Gaussian kernel, in NumPy.

`read_regressor` reads LIBSVM's text format (BRISQUE's model). `Classifier` computes class probabilities: a logistic
function of each pairwise decision, coupled by the second method of Wu, Lin and Weng 2004.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError

COUPLING_STEPS, COUPLING_TOLERANCE, LEAST_PROBABILITY = 100, 0.005, 1e-7  # LIBSVM's


@dataclass(frozen=True)
class Regressor:
    """sum_i coefficient_i exp(-gamma |x - vector_i|^2) - rho."""

    vectors: np.ndarray  # (n, features)
    coefficients: np.ndarray  # (n,)
    rho: float
    gamma: float

    def __call__(self, x: np.ndarray) -> float:
        return float(self.coefficients @ kernel(self.vectors, x, self.gamma) - self.rho)


@dataclass(frozen=True)
class Classifier:
    """Vectors are sorted by class: 0, then 1 ...; row k of `coefficients` is LIBSVM's sv_coef[k]."""

    vectors: np.ndarray  # (n, features)
    coefficients: np.ndarray  # (classes - 1, n)
    counts: np.ndarray  # (classes,) number of vectors of each class
    rho: np.ndarray  # (pairs,), pairs (0, 1), (0, 2) ... (1, 2) ...
    slope: np.ndarray  # (pairs,) A of 1 / (1 + exp(A decision + B))
    offset: np.ndarray  # (pairs,) B
    gamma: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities, (classes,), of the features x (features,)."""
        weighted = self.coefficients * kernel(self.vectors, x, self.gamma)
        classes = len(self.counts)
        own = np.repeat(np.arange(classes), self.counts)
        pairwise = np.zeros((classes, classes))
        for pair, (i, j) in enumerate(combinations(range(classes), 2)):
            decision = weighted[j - 1, own == i].sum() + weighted[i, own == j].sum() - self.rho[pair]
            first = 1 / (1 + np.exp(self.slope[pair] * decision + self.offset[pair]))
            pairwise[i, j] = np.clip(first, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
            pairwise[j, i] = 1 - pairwise[i, j]
        return couple(pairwise)


def kernel(vectors: np.ndarray, x: np.ndarray, gamma: float) -> np.ndarray:
    """exp(-gamma |x - vector|^2) for each vector, (n,)."""
    return np.exp(-gamma * np.sum((vectors - x) ** 2, axis=1))


def couple(pairwise: np.ndarray) -> np.ndarray:
    """The p that best fit r_ij = p_i / (p_i + p_j): they minimise the sum over pairs of (r_ji p_i - r_ij p_j)^2.

    Uses LIBSVM's iteration and stopping rule, which affect the third digit of the result.
    """
    classes = len(pairwise)
    q = -pairwise.T * pairwise
    np.fill_diagonal(q, np.sum(pairwise.T**2, axis=1) - np.diag(pairwise) ** 2)
    p = np.full(classes, 1 / classes)
    for _ in range(max(COUPLING_STEPS, classes)):
        qp = q @ p
        total = p @ qp
        if np.abs(qp - total).max() < COUPLING_TOLERANCE / classes:
            break
        for k in range(classes):
            step = (total - qp[k]) / q[k, k]
            p[k] += step
            total = (total + step * (step * q[k, k] + 2 * qp[k])) / (1 + step) ** 2
            qp = (qp + step * q[k]) / (1 + step)
            p /= 1 + step
    return p


def read_regressor(path: Path) -> Regressor:
    """Reads LIBSVM's text format: a header of `name value` lines, SV, then `coefficient 1:value 2:value ...`."""
    header, _, body = path.read_text().partition("\nSV\n")
    fields = dict(line.split(maxsplit=1) for line in header.splitlines())
    if fields.get("svm_type") not in ("epsilon_svr", "nu_svr") or fields.get("kernel_type") != "rbf":
        raise UserError(f"{path} is not a support vector regression with an RBF kernel in LIBSVM's text format")
    rows = [line.split() for line in body.splitlines()]
    width = max(int(row[-1].split(":")[0]) for row in rows)
    vectors = np.zeros((len(rows), width))  # zero features are omitted in the file
    for vector, row in zip(vectors, rows, strict=True):
        for item in row[1:]:
            index, value = item.split(":")
            vector[int(index) - 1] = float(value)
    coefficients = np.array([float(row[0]) for row in rows])
    return Regressor(vectors, coefficients, float(fields["rho"]), float(fields["gamma"]))
