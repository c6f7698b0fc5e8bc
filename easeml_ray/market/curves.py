"""What values are good for, as curves: accuracy with the best rows only, the worst only, or any.

Symbols
-------
n = rows, f = share of the rows that is kept
best(f) = accuracy with the f n rows of the highest values; worst(f), any(f) = of the lowest, of any

One family of curves tells both of what is usually drawn: removing the best rows first leaves the worst
ones, so that accuracy after removing a share r of the best is worst(1 - r), and the other way round.

References
----------
A. Ghorbani and J. Zou, "Data Shapley", ICML 2019, figure 3: adding and removing rows by value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.errors import InvalidArgument
from easeml_ray.market.ranking import nearest
from easeml_ray.market.shapley import checked

__all__ = ["RetainedCurves", "retained_curves", "vote_accuracy"]


@dataclass(frozen=True, slots=True)
class RetainedCurves:
    """Accuracy by the share of rows kept, ascending to 1: the best rows, the worst, or any."""

    kept: tuple[float, ...]
    best: tuple[float, ...]
    worst: tuple[float, ...]
    any: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the curves as JSON-able values."""
        return asdict(self)


def retained_curves(
    values: ArrayLike, score: Callable[[IntArray], float], *, points: int = 20, draws: int = 5, seed: int = 0
) -> RetainedCurves:
    """Return the accuracy of what is kept, by values of shape (n_rows,) and at random."""
    # `score(indices)` tells the accuracy with some rows, ascending; not on the rows that gave the values. At
    # equal values smaller indices count as better; `any` is the mean over `draws` random orders.
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or not given.size or not np.isfinite(given).all():
        raise InvalidArgument(
            "values are not a list of finite numbers",
            hint="Give one value a row, as computed.",
            argument="values",
        )
    for name, number in (("points", points), ("draws", draws)):
        if number < 1:
            raise InvalidArgument(f"{name} is {number}", hint="Give at least 1.", argument=name)
    n = given.size
    sizes = np.unique(np.ceil(np.arange(1, points + 1) * n / points).astype(np.int64))
    best = np.argsort(-given, kind="stable")
    rng = np.random.default_rng(seed)

    def along(order: IntArray) -> FloatArray:
        return np.array([score(np.sort(order[:size])) for size in sizes])

    anyhow = np.mean([along(rng.permutation(n)) for _ in range(draws)], axis=0)
    curves = along(best), along(best[::-1]), anyhow
    return RetainedCurves(
        tuple((sizes / n).tolist()), *(tuple(float(accuracy) for accuracy in curve) for curve in curves)
    )


def vote_accuracy(
    X: ArrayLike, y: ArrayLike, X_test: ArrayLike, y_test: ArrayLike, *, k: int = 5
) -> Callable[[IntArray], float]:
    """Return a score for :func:`retained_curves`: the accuracy of the vote of the k nearest of the rows kept.

    The smaller label wins a tie.
    """
    rows, labels, test_rows, test_labels, classes = checked(
        X, y, X_test, y_test, k=k, utility="jia", n_classes=None
    )

    def score(kept: IntArray) -> float:
        order, _ = nearest(rows[kept], test_rows, min(k, kept.size))
        votes = (labels[kept][order][:, :, None] == np.arange(classes)).sum(axis=1)
        return float((votes.argmax(axis=1) == test_labels).mean())

    return score
