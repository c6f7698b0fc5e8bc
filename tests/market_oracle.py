"""The clear forms of the market's values, one development row and one rank at a time.

Imported by path (see tests/conftest.py); not collected.
"""

from __future__ import annotations

from itertools import chain, combinations
from math import ceil, factorial

import numpy as np


def squared_distances(X: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Direct differences, (n,): equal rows have equal distances."""
    return np.square(np.asarray(X, float) - z).sum(axis=1)


def ranked(X: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Rows nearest first, ties to the smaller index."""
    return np.argsort(squared_distances(X, z), kind="stable")


def jia(a: np.ndarray, k: int) -> np.ndarray:
    """Values by rank: from the farthest row inward."""
    n = len(a)
    phi = np.zeros(n)
    phi[n - 1] = a[n - 1] / max(k, n)
    for i in range(n - 1, 0, -1):
        phi[i - 1] = phi[i] + (a[i - 1] - a[i]) / max(k, i)
    return phi


def soft(a: np.ndarray, k: int, n_classes: int) -> np.ndarray:
    """Values by rank of the soft utility."""
    n = len(a)
    phi = np.zeros(n)
    phi[n - 1] = (a[n - 1] - 1 / n_classes) / n
    if n > 1:
        phi[n - 1] += (a[n - 1] - a[:-1].mean()) / n * (harmonic(min(k, n)) - 1)
    for i in range(n - 1, 0, -1):
        factor = harmonic(min(k, n - 1)) + max(0.0, (n - 1) / max(i, k) - 1)
        phi[i - 1] = phi[i] + (a[i - 1] - a[i]) * factor / (n - 1)
    return phi


def truncated(a: np.ndarray, k: int, epsilon: float) -> np.ndarray:
    """Values by rank, those beyond the nearest as if their matches were in random order."""
    n = len(a)
    kept = min(n, max(k, ceil(1 / epsilon)))
    if kept == n:
        return jia(a, k)
    p = a[kept:].mean()
    h = (harmonic(n) - harmonic(kept)) / (n - kept)
    phi = a * h - p * (h - 1 / n)
    ranks = np.arange(1, kept + 1)
    terms = np.where(ranks > 1, a[:kept] / np.maximum(ranks * (ranks - 1), 1), 0.0)
    for i in ranks:
        phi[i - 1] = a[i - 1] / max(k, i) - terms[max(k, i) :].sum() - p * (1 / kept - 1 / n)
    return phi


def row_values(
    X: np.ndarray,
    y: np.ndarray,
    Z: np.ndarray,
    z: np.ndarray,
    k: int,
    utility: str = "jia",
    *,
    n_classes: int = 3,
    epsilon: float | None = None,
) -> np.ndarray:
    """Values of rows, mean over development rows."""
    total = np.zeros(len(X))
    for point, label in zip(Z, z, strict=True):
        order = ranked(X, point)
        a = (y[order] == label).astype(float)
        if epsilon is not None:
            total[order] += truncated(a, k, epsilon)
        else:
            total[order] += jia(a, k) if utility == "jia" else soft(a, k, n_classes)
    return total / len(Z)


def harmonic(m: int) -> float:
    return sum(1.0 / j for j in range(1, m + 1))


def games_by_brute_force(
    X: np.ndarray,
    y: np.ndarray,
    owners: list[list[int]],
    Z: np.ndarray,
    z: np.ndarray,
    k: int,
    utility: str,
    classes: int,
) -> np.ndarray:
    """Play every coalition of owners, with the plain definition."""
    players = range(max(chain.from_iterable(owners)) + 1)
    orders = [ranked(X, point) for point in Z]

    def worth(coalition: tuple[int, ...]) -> float:
        there = {r for r, mine in enumerate(owners) if set(mine) <= set(coalition)}
        total = 0.0
        for order, label in zip(orders, z, strict=True):
            near = [r for r in order if r in there][:k]
            right = sum(int(y[r] == label) for r in near)
            if utility == "jia":
                total += right / k
            else:
                total += right / len(near) if near else 1 / classes
        return total / len(Z)

    worths = {c: worth(c) for size in range(len(players) + 1) for c in combinations(players, size)}
    values = np.zeros(len(players))
    for player in players:
        others = [p for p in players if p != player]
        for size in range(len(others) + 1):
            weight = factorial(size) * factorial(len(others) - size) / factorial(len(players))
            for coalition in combinations(others, size):
                joined = tuple(sorted((*coalition, player)))
                values[player] += weight * (worths[joined] - worths[coalition])
    return values
