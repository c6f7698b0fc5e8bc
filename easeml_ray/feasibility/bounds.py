"""What a nearest-neighbour error says about the Bayes error, and what label noise does to it.

Symbols
-------
C = classes
e = error rate of the nearest-neighbour rule (as train grows without end), 0 .. 1
b = Bayes error, 0 .. (C-1)/C
rho = rate of uniform label noise, 0 .. 1: with probability rho a label is replaced by one drawn
    uniformly from all C classes, which may be the same one: ``b(rho) = b + rho (1 - 1/C - b)``.
    Noise does not change which class is the most probable at any point, so this is exact.

References
----------
T. M. Cover and P. E. Hart, "Nearest neighbor pattern classification", IEEE Transactions on
Information Theory 13(1), 1967: b <= e <= b (2 - C/(C-1) b).
"""

from __future__ import annotations

from typing import overload

import numpy as np

from easeml_ray.arrays import FloatArray
from easeml_ray.errors import InvalidArgument

__all__ = ["cover_hart_lower_bound", "noise_rate"]


@overload
def cover_hart_lower_bound(error: float, n_classes: int) -> float: ...
@overload
def cover_hart_lower_bound(error: FloatArray, n_classes: int) -> FloatArray: ...
def cover_hart_lower_bound(error: float | FloatArray, n_classes: int) -> float | FloatArray:
    """Return the least Bayes error that an asymptotic nearest-neighbour error allows.

    ``(C-1)/C (1 - sqrt(1 - C/(C-1) e))``, with e cut at (C-1)/C. It bounds the Bayes error
    in the limit of endless train rows only; with finitely many it may lie above it.

    Parameters
    ----------
    error : float or ndarray
        Error rate e of the nearest-neighbour rule, between 0 and 1.
    n_classes : int
        Classes C, at least 2.

    Returns
    -------
    float or ndarray of the same shape
        The bound, between 0 and (C-1)/C; it grows with e.

    Raises
    ------
    InvalidArgument
        If an error is outside 0 .. 1 or `n_classes` is below 2.

    References
    ----------
    Cover and Hart (1967), solved for the Bayes error.

    Examples
    --------
    >>> round(cover_hart_lower_bound(0.1, 2), 6)
    0.052786
    >>> cover_hart_lower_bound(0.95, 10)
    0.9
    """
    e = _rates(error, "error", n_classes)
    most = (n_classes - 1) / n_classes
    cut = np.minimum(e, most)
    # The same as the formula above, without its cancellation at small errors.
    bound = cut / (1.0 + np.sqrt(1.0 - cut / most))
    return float(bound) if np.ndim(error) == 0 else bound


def noise_rate(clean: float, noisy: float, n_classes: int) -> float:
    """Return the rate rho of uniform noise that lifts one Bayes error to another."""
    most = _chance(clean, "clean", n_classes)
    _chance(noisy, "noisy", n_classes)
    if noisy < clean or clean >= most:
        raise InvalidArgument(
            f"no noise leads from a Bayes error of {clean:.4g} to {noisy:.4g}",
            hint="Noise only raises the error, up to that of chance.",
            argument="noisy",
        )
    return (noisy - clean) / (most - clean)


def _rates(value: float | FloatArray, argument: str, n_classes: int) -> FloatArray:
    if n_classes < 2:
        raise InvalidArgument(f"n_classes is {n_classes}", hint="Give at least 2.", argument="n_classes")
    rates = np.asarray(value, dtype=np.float64)
    if not np.all((rates >= 0.0) & (rates <= 1.0)):
        raise InvalidArgument(
            f"{argument} must lie between 0 and 1", hint="Give a rate, not a count.", argument=argument
        )
    return rates


def _chance(ber: float, argument: str, n_classes: int) -> float:
    """Return (C-1)/C, the error of guessing, after a look that `ber` does not exceed it."""
    _rates(ber, argument, n_classes)
    most = (n_classes - 1) / n_classes
    if ber > most + 1e-12:
        raise InvalidArgument(
            f"{argument} is {ber:.4g}, but no Bayes error of {n_classes} classes exceeds {most:.4g}",
            hint="Look at the number of classes.",
            argument=argument,
        )
    return most
