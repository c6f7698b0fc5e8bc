"""What a nearest-neighbour error says about the Bayes error, and what label noise does to both.

Symbols
-------
C = classes
e = error rate of the nearest-neighbour rule (as train grows without end), 0 .. 1
b = Bayes error, 0 .. (C-1)/C
rho = noise rate, 0 .. 1 (``uniform``) or 0 .. (C-1)/C (``flip``)

The two conventions of label noise, always named:

uniform
    with probability rho a label is replaced by one drawn uniformly from all C classes,
    which may be the same one: ``b(rho) = b + rho (1 - 1/C - b)``
flip
    with probability rho a label moves to a uniformly drawn other class:
    ``b(rho) = b + rho (1 - C/(C-1) b)``

Neither changes which class is the most probable one at any point, so both are exact, and
``rho_uniform = rho_flip C/(C-1)``.

References
----------
T. M. Cover and P. E. Hart, "Nearest neighbor pattern classification", IEEE Transactions on
Information Theory 13(1), 1967: b <= e <= b (2 - C/(C-1) b).
"""

from __future__ import annotations

from typing import Literal, TypeAlias, overload

import numpy as np

from easeml_ray.arrays import FloatArray
from easeml_ray.errors import InvalidArgument

__all__ = [
    "NoiseConvention",
    "clean_bayes_error",
    "cover_hart_lower_bound",
    "cover_hart_upper_bound",
    "noise_rate",
    "noisy_bayes_error",
    "noisy_nearest_neighbor_error",
]

NoiseConvention: TypeAlias = Literal["uniform", "flip"]


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


def cover_hart_upper_bound(ber: float, n_classes: int) -> float:
    """Return the largest asymptotic nearest-neighbour error that a Bayes error allows.

    It is the inverse of :func:`cover_hart_lower_bound`: ``b (2 - C/(C-1) b)``.

    Parameters
    ----------
    ber : float
        Bayes error b, between 0 and (C-1)/C.
    n_classes : int
        Classes C, at least 2.

    Returns
    -------
    float
        The nearest-neighbour error whose Cover-Hart value is `ber`.

    Raises
    ------
    InvalidArgument
        If `ber` is outside 0 .. (C-1)/C or `n_classes` is below 2.

    Examples
    --------
    >>> round(cover_hart_upper_bound(0.05278640450004207, 2), 6)
    0.1
    """
    _rates(ber, "ber", n_classes)
    most = _chance(ber, "ber", n_classes)
    return ber * (2.0 - ber / most)


def noisy_bayes_error(
    ber: float, rate: float, n_classes: int, *, convention: NoiseConvention = "uniform"
) -> float:
    """Return the Bayes error once labels are noisy.

    Parameters
    ----------
    ber : float
        Bayes error b with the labels as they were.
    rate : float
        Noise rate rho.
    n_classes : int
        Classes C.
    convention : {"uniform", "flip"}
        What noise does to a label; see the top of this module.

    Returns
    -------
    float
        Bayes error with respect to the noisy labels.

    Raises
    ------
    InvalidArgument
        If a value is out of range or the convention is unknown.

    Examples
    --------
    >>> round(noisy_bayes_error(0.0, 0.3, 10), 10)
    0.27
    >>> round(noisy_bayes_error(0.0, 0.27, 10, convention="flip"), 10)
    0.27
    """
    most = _chance(ber, "ber", n_classes)
    uniform = _uniform_rate(rate, n_classes, convention)
    return ber + uniform * (most - ber)


def clean_bayes_error(
    noisy: float, rate: float, n_classes: int, *, convention: NoiseConvention = "uniform"
) -> float:
    """Return the Bayes error before noise: the inverse of :func:`noisy_bayes_error` in `ber`.

    Parameters
    ----------
    noisy : float
        Bayes error with respect to the noisy labels.
    rate : float
        Noise rate rho, below what destroys all information.
    n_classes : int
        Classes C.
    convention : {"uniform", "flip"}
        What noise does to a label.

    Returns
    -------
    float
        Bayes error with respect to the clean labels.

    Raises
    ------
    InvalidArgument
        If a value is out of range, or noise of this rate alone exceeds `noisy`.

    Examples
    --------
    >>> round(clean_bayes_error(0.28, 0.3, 10), 6)
    0.014286
    """
    most = _chance(noisy, "noisy", n_classes)
    uniform = _uniform_rate(rate, n_classes, convention)
    if uniform >= 1.0 or noisy < uniform * most - 1e-12:
        raise InvalidArgument(
            f"noise of rate {rate} ({convention}) alone gives an error of {uniform * most:.4g}, "
            f"above {noisy:.4g}",
            hint="Give a smaller rate or a larger error.",
            argument="rate",
        )
    return max(0.0, (noisy - uniform * most) / (1.0 - uniform))


def noise_rate(
    clean: float, noisy: float, n_classes: int, *, convention: NoiseConvention = "uniform"
) -> float:
    """Return the noise rate that lifts one Bayes error to another.

    Parameters
    ----------
    clean : float
        Bayes error with respect to the clean labels, below (C-1)/C.
    noisy : float
        Bayes error with respect to the noisy labels, at least `clean`.
    n_classes : int
        Classes C.
    convention : {"uniform", "flip"}
        What noise does to a label.

    Returns
    -------
    float
        Noise rate rho.

    Raises
    ------
    InvalidArgument
        If a value is out of range or `noisy` is below `clean`.

    Examples
    --------
    >>> round(noise_rate(0.0, 0.1, 10), 6)
    0.111111
    """
    most = _chance(clean, "clean", n_classes)
    _chance(noisy, "noisy", n_classes)
    if noisy < clean or clean >= most:
        raise InvalidArgument(
            f"no noise leads from a Bayes error of {clean:.4g} to {noisy:.4g}",
            hint="Noise only raises the error, up to that of chance.",
            argument="noisy",
        )
    uniform = (noisy - clean) / (most - clean)
    return _of_convention(uniform, n_classes, convention)


def noisy_nearest_neighbor_error(error: float, rate: float, n_classes: int) -> float:
    """Return the expected 1NN error after uniform noise on both train and development labels.

    Exact at every number of rows: a pair of labels is compared as before only when noise
    spared both, and agrees with chance 1/C otherwise.

    Parameters
    ----------
    error : float
        1NN error rate with clean labels.
    rate : float
        Noise rate rho, convention ``uniform``.
    n_classes : int
        Classes C.

    Returns
    -------
    float
        ``(1-rho)^2 e + (1 - (1-rho)^2) (1 - 1/C)``

    Raises
    ------
    InvalidArgument
        If a value is out of range.

    Examples
    --------
    >>> round(noisy_nearest_neighbor_error(0.01, 0.3, 10), 6)
    0.4639
    """
    _rates(error, "error", n_classes)
    spared = (1.0 - _uniform_rate(rate, n_classes, "uniform")) ** 2
    return spared * error + (1.0 - spared) * (1.0 - 1.0 / n_classes)


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


def _uniform_rate(rate: float, n_classes: int, convention: NoiseConvention) -> float:
    """Return the rate of uniform noise that equals noise of this convention."""
    unit = _of_convention(1.0, n_classes, convention)
    if not 0.0 <= rate <= unit + 1e-12:
        raise InvalidArgument(
            f"a noise rate of {rate} is outside 0 .. {unit:.4g} ({convention})",
            hint="Name the convention of the rate: uniform or flip.",
            argument="rate",
        )
    return rate / unit


def _of_convention(uniform: float, n_classes: int, convention: NoiseConvention) -> float:
    """Return the rate in a convention of what is this rate of uniform noise."""
    if convention == "uniform":
        return uniform
    if convention == "flip":
        return uniform * (n_classes - 1) / n_classes
    raise InvalidArgument(
        f"there is no noise convention {convention!r}", hint="Give uniform or flip.", argument="convention"
    )
