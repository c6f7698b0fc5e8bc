"""Votes counted one tally a label, and what a sweep says given each alternative of each row.

Imported by path (see tests/conftest.py); not collected.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.cleaning.alternatives import read_alternatives
from easeml_ray.cleaning.pointwise import CONDITIONAL, sweep
from easeml_ray.cleaning.ranking import rank_points
from easeml_ray.cleaning.shortlists import Shortlist
from easeml_ray.cleaning.tallies import Coefficients, product, tally_algebra


def conditional_label_probabilities(
    candidates: ArrayLike,
    row_ptr: ArrayLike,
    labels: ArrayLike,
    points: ArrayLike,
    *,
    k: int = 3,
    n_classes: int | None = None,
    prior: ArrayLike | None = None,
) -> np.ndarray:
    """Probability of each predicted label given each alternative, (P, M, C); NaN for impossible ones."""
    rows = read_alternatives(candidates, row_ptr, labels, n_classes=n_classes, prior=prior)
    ranked = rank_points(rows, np.asarray(points, dtype=float), np.zeros(len(points), dtype=np.int64), k)
    result = np.zeros((ranked.n_points, len(rows.prior), rows.n_classes))
    for swept in sweep(ranked, rows.prior, np.arange(ranked.n_points), CONDITIONAL):
        found = swept.found
        for place, (v, o) in enumerate(zip(swept.points, swept.offset, strict=True)):
            result[v] = found.probabilities[place]
            if found.n_labels[place] == 1:
                continue
            for i in range(o, o + found.n_rows[place]):
                result[v, rows.row_of == found.row_id[i]] = found.outside[i]
            for j, element in enumerate(ranked.nearest(v)):
                if (entry := found.entry_of[o + j]) >= 0:
                    result[v, element] = found.inside[o + entry]
    result[:, rows.prior == 0] = np.nan
    return result


def separate_votes(shortlist: Shortlist, k: int, dtype: type[np.generic]) -> Coefficients:
    """V of every boundary, (L, T), by one polynomial a label; every row is sure of its label.

    With ``np.bool_``, whether it is positive.
    """
    algebra = tally_algebra(1, k - 1)
    label_of_row = np.empty(len(shortlist.rows), dtype=np.int64)
    label_of_row[shortlist.row] = shortlist.label
    assert (label_of_row[shortlist.row] == shortlist.label).all(), "a row's elements differ in the label"
    every = np.ones(len(shortlist.elements), dtype=bool)
    after, before = shortlist.farther_mass(), shortlist.nearer_mass(every)
    if dtype is np.bool_:
        after, before = after > 0, before > 0
    factors = []
    for label, sure in enumerate(shortlist.sure_counts()):
        members = label_of_row[shortlist.uncertain] == label
        leaves = algebra.one_row(after[members], [before[members]])
        others = product(algebra, leaves, algebra.power(sure[None], np.dtype(dtype)))
        nothing = np.zeros_like(others[:1])
        # The boundary's own vote is counted.
        mine = np.concatenate([nothing, others]), np.concatenate([others, nothing])
        factors.append(np.where(shortlist.label == label, *mine))
    return label_votes(factors, k)


def label_votes(factors: Sequence[Coefficients], k: int) -> Coefficients:
    """Probability that each label wins a vote of k, (L, T), for independent tallies (k + 1, T) a label.

    Fix the winner w and its tally t: labels before w must stay below t, since they win ties, and labels
    after w may reach t. What is left is a product of truncated polynomials, of which the term of degree
    k - t is wanted; products over the labels before and after w are shared among winners.

    Two certain votes for label 1 and one for label 0:

    >>> label_votes([np.array([[0.0], [1], [0], [0]]), np.array([[0.0], [0], [1], [0]])], 3)
    array([[0.],
           [1.]])
    """
    n_labels = len(factors)
    shape = np.broadcast_shapes(*(factor.shape[1:] for factor in factors))
    votes = np.zeros((n_labels, *shape), dtype=factors[0].dtype)
    # With a smaller tally than this the others could not stay at or below the winner's.
    for tally in range(-(-k // n_labels), k + 1):
        rest = k - tally
        after = _running_products([f[: tally + 1] for f in factors[:0:-1]], rest)[::-1]
        before = _running_products([f[:tally] for f in factors[:-1]], rest)
        for label in range(n_labels):
            _add_term(votes[label], factors[label][tally], before[label], after[label], rest)
    return votes


def _running_products(factors: Sequence[Coefficients], degree: int) -> list[Coefficients]:
    """Products of the first 0, 1, ... factors, truncated at a degree."""
    products: list[Coefficients] = []
    for factor in factors:
        cut = factor[: degree + 1]
        products.append(_convolve(products[-1], cut, degree) if products else cut)
    return [np.ones(1, dtype=bool), *products]


def _convolve(a: Coefficients, b: Coefficients, degree: int) -> Coefficients:
    length = min(degree, len(a) + len(b) - 2) + 1
    shape = np.broadcast_shapes(a.shape[1:], b.shape[1:])
    result = np.zeros((length, *shape), dtype=a.dtype)
    for i in range(len(a)):
        for j in range(min(len(b), length - i)):
            result[i + j] += a[i] * b[j]
    return result


def _add_term(result: Coefficients, tally: Coefficients, a: Coefficients, b: Coefficients, rest: int) -> None:
    """Add ``tally`` times the coefficient of degree `rest` in a b to `result`."""
    for i in range(max(0, rest - len(b) + 1), min(len(a), rest + 1)):
        result += tally * a[i] * b[rest - i]
