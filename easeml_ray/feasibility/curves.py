"""Nearest-neighbour errors along growing train prefixes, and where they lead.

Symbols
-------
F = embeddings, P = prefixes, T = development rows, B = bootstrap worlds, C = classes
n_p = train rows of prefix p, (P,); n = n_P = all train rows
wrong = whether the 1NN of prefix p in embedding f errs on row t, bool (F, P, T)
e = error rates, (..., F, P)
h = their Cover-Hart values, (..., F, P)
a = decay exponent of a curve: h ~ n^-a, cut at 0, (..., F)

The curve ``h(n) = exp(c - a ln n)`` has no asymptote: at any target it says that endless
rows reach it. It is therefore never read beyond `CAP` times the rows at hand.

References
----------
C. Renggli, L. Rimanic, L. Kolar, W. Wu, C. Zhang, "Ease.ML/Snoopy: Towards automatic
feasibility studies for ML via quantitative understanding of data quality for ML", ICDE 2023.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.feasibility.bounds import cover_hart_lower_bound

__all__ = ["CAP", "bootstrap_errors", "decay_exponents", "extrapolate", "prefixes"]

CAP = 10
"""Largest multiple of the train rows at hand that a curve is extrapolated to."""

WORLD_VALUES = 1 << 24  # bootstrap counts held at once, 64 MiB as float32


def prefixes(n_train: int, count: int = 10) -> IntArray:
    """Return the train sizes at which a curve is measured."""
    return np.unique(np.maximum(1, n_train * np.arange(1, count + 1) // count)).astype(np.int64)


def bootstrap_errors(wrong: NDArray[np.bool_], worlds: int, rng: np.random.Generator) -> FloatArray:
    """Return error rates in resampled development sets, jointly over embeddings and prefixes."""
    # Shapes: wrong (F, P, T); returned (B, F, P).
    rows = wrong.shape[-1]
    flat = wrong.reshape(-1, rows).T.astype(np.float32)
    step = max(1, WORLD_VALUES // rows)
    parts = []
    for begin in range(0, worlds, step):
        size = min(step, worlds - begin)
        # How often each row is drawn: all worlds of a step are counted at once.
        drawn = rng.integers(0, rows, (size, rows)) + rows * np.arange(size)[:, None]
        picked = np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows)
        # Counts of rows below 2**24 are exact in float32.
        parts.append(picked.astype(np.float32) @ flat)
    rates: FloatArray = np.concatenate(parts).astype(np.float64) / rows
    return rates.reshape(worlds, *wrong.shape[:2])


def decay_exponents(
    errors: FloatArray, sizes: IntArray, n_dev: int, n_classes: int, done: IntArray | None = None
) -> FloatArray:
    """Fit ``ln h = c - a ln n`` to error curves by weighted least squares.

    Each point weighs as much as its logarithm is certain (delta method on the binomial
    variance); half an error is added so that a curve may reach zero.

    Shapes: errors (..., P); sizes (P,); done (F,); returned (...).
    """
    smooth = (errors * n_dev + 0.5) / (n_dev + 1.0)
    most = (n_classes - 1) / n_classes
    h = cover_hart_lower_bound(smooth, n_classes)
    # d ln h / d e = 1 / (2 h sqrt(1 - e/most)); the root is kept off zero near chance.
    root = np.sqrt(np.maximum(1.0 - smooth / most, 1.0 / n_dev))
    weight = (2.0 * h * root) ** 2 / (smooth * (1.0 - smooth))
    if done is not None:
        weight = np.where(np.arange(sizes.size) < done[:, None], weight, 0.0)
    x = np.log(sizes.astype(np.float64))
    weight = weight / weight.sum(axis=-1, keepdims=True)
    spread = x - (weight * x).sum(axis=-1, keepdims=True)
    # A curve of one point has no spread, and then no slope either.
    squares = np.maximum((weight * spread**2).sum(axis=-1), 1e-12)
    slope: FloatArray = (weight * spread * np.log(h)).sum(axis=-1) / squares
    return -slope


def extrapolate(h: FloatArray, a: FloatArray, factor: float) -> FloatArray:
    """Return Cover-Hart values at `factor` times the rows."""
    return h * factor ** -np.maximum(a, 0.0)
