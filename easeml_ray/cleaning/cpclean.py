"""CPClean: which row to clean next, so that the fewest answers settle every prediction.

Symbols
-------
V = development points
Q_v = probabilities of the labels that point v is predicted, over all worlds
H = entropy in bits
p_ij = probability that row i is its alternative j
gain_i = mean_v (H(Q_v) - sum_j p_ij H(Q_v | i = j)), expected information of cleaning row i

References
----------
.. [1] B. Karlas et al., "Nearest Neighbor Classifiers over Incomplete Information: From
   Certain Answers to Certain Predictions", VLDB 2021: algorithm CPClean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.cleaning.alternatives import check_neighbours, read_alternatives
from easeml_ray.cleaning.boundaries import conditional_votes, vote_probabilities, vote_support
from easeml_ray.cleaning.shortlists import shortlist
from easeml_ray.cleaning.worlds import (
    CleaningBelief,
    cross_fitted_potential,
    most_probable_world,
    outcomes,
    rank_points,
    sample_worlds,
    world_hits,
)
from easeml_ray.embed.arrays import FloatArray, IntArray, as_features, as_labels
from easeml_ray.errors import InvalidArgument

__all__ = ["CPClean"]

# Gains closer than this are equal, so that the order does not hang on rounding.
GAIN_DECIMALS = 10
SAME_VALUE = 1e-9
SAME_ZERO = 1e-12
SAMPLED_WORLDS = 64


class CPClean:
    """Certain predictions of development points, and what cleaning each row tells of them.

    Distances are ranked once; an answer only changes the prior. An answer that was no
    alternative changes distances, and its points are ranked again.

    Parameters
    ----------
    candidates : array-like of shape (n_alternatives, n_features)
        Features of the alternatives, row by row.
    row_ptr : array-like of int, shape (n_rows + 1,)
        Alternatives of row i are ``row_ptr[i]`` to ``row_ptr[i + 1] - 1``.
    labels : array-like of int, shape (n_rows,) or (n_alternatives,)
        A label a row, or one an alternative.
    X_dev : array-like of shape (n_points, n_features)
        Development points.
    y_dev : array-like of int, shape (n_points,)
        Their labels.
    k : int
        Odd number of neighbours that vote, at most n_rows.
    n_classes : int, optional
        Number of classes; by default what the labels imply.
    prior : array-like of shape (n_alternatives,), optional
        Probabilities, summing to 1 in each row; by default uniform in each row.

    Raises
    ------
    InvalidArgument
        If an argument is not as described.

    References
    ----------
    .. [1] B. Karlas et al., VLDB 2021, CPClean.

    Examples
    --------
    Row 1 is either near the point or far away, and decides its prediction:

    >>> clean = CPClean([[0.0], [1.0], [9.0], [4.0]], [0, 1, 3, 4], [0, 1, 0], [[2.0]], [1], k=1)
    >>> clean.information_gain()
    array([0., 1., 0.])
    >>> clean.next_row()
    1
    >>> clean.condition(1, 0).certain_fraction
    1.0
    """

    def __init__(
        self,
        candidates: ArrayLike,
        row_ptr: ArrayLike,
        labels: ArrayLike,
        X_dev: ArrayLike,
        y_dev: ArrayLike,
        *,
        k: int = 3,
        n_classes: int | None = None,
        prior: ArrayLike | None = None,
    ) -> None:
        y = as_labels(y_dev, "y_dev")
        rows = read_alternatives(
            candidates, row_ptr, labels, n_classes=n_classes, prior=prior, other_labels=y
        )
        self._points = as_features(X_dev, "X_dev", n_features=rows.candidates.shape[1])
        as_labels(y, "y_dev", n_rows=len(self._points))
        self._prior = rows.prior.copy()
        self._ranked = rank_points(rows, self._points, y, check_neighbours(k, rows.n_rows))
        self._probabilities = np.zeros((len(y), rows.n_classes))
        self._possible = np.zeros((len(y), rows.n_classes), dtype=bool)
        self._gain: FloatArray | None = None
        self._query(np.arange(len(y)))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self._ranked.rows.n_rows

    @property
    def row_ptr(self) -> IntArray:
        """Where each row's alternatives start, shape (n_rows + 1,)."""
        return self._ranked.rows.row_ptr.copy()

    @property
    def candidates(self) -> FloatArray:
        """Features of the alternatives, shape (n_alternatives, n_features)."""
        return self._ranked.rows.candidates.copy()

    @property
    def labels(self) -> IntArray:
        """Label of each alternative, shape (n_alternatives,)."""
        return self._ranked.rows.labels.copy()

    @property
    def prior(self) -> FloatArray:
        """Present probability of each alternative, shape (n_alternatives,)."""
        return self._prior.copy()

    @property
    def uncertain_rows(self) -> IntArray:
        """Rows with more than one possible alternative."""
        possible = np.add.reduceat((self._prior > 0).astype(np.int64), self._ranked.rows.row_ptr[:-1])
        return np.flatnonzero(possible > 1)

    @property
    def label_probabilities(self) -> FloatArray:
        """Probability of each label for each development point, shape (n_points, n_classes)."""
        return self._probabilities.copy()

    @property
    def possible_labels(self) -> NDArray[np.bool_]:
        """Whether some world predicts the label for the point, shape (n_points, n_classes)."""
        return self._possible.copy()

    @property
    def certain(self) -> NDArray[np.bool_]:
        """Development points that every world predicts alike, shape (n_points,)."""
        return np.asarray(self._possible.sum(axis=1) == 1)

    @property
    def certain_fraction(self) -> float:
        """Fraction of development points that every world predicts alike."""
        return float(self.certain.mean())

    def information_gain(self) -> FloatArray:
        """Compute the expected information of cleaning each row about development predictions.

        Returns
        -------
        ndarray of shape (n_rows,)
            Bits, mean over all development points, rounded to 1e-10 so that equal gains tie.
            0 for rows that are certain.
        """
        if self._gain is None:
            rows, k = self._ranked.rows, self._ranked.k
            gain = np.zeros(rows.n_rows)
            for v in np.flatnonzero(~self.certain):
                nearest = shortlist(rows, self._prior, self._ranked.lists[v], k)
                votes = conditional_votes(nearest, k)
                inside = nearest.weight * _entropy(votes.inside)
                left = np.bincount(nearest.row, inside) + nearest.beyond * _entropy(votes.outside)
                gain[nearest.rows] += np.maximum(_entropy(votes.base) - left, 0.0)
            self._gain = np.round(gain / len(self._points), GAIN_DECIMALS)
        return self._gain.copy()

    def outcomes(self) -> FloatArray:
        """Compute the expected development accuracy given each alternative of each row.

        Returns
        -------
        ndarray of shape (n_alternatives,)
            In 0 .. 1; NaN for alternatives that are ruled out.
        """
        return outcomes(self._ranked, self._prior, np.arange(len(self._points))) / len(self._points)

    def next_row(self) -> int | None:
        """Return the row to clean next.

        Returns
        -------
        int or None
            The row of largest information gain, ties to the smaller row. Where no single row
            tells anything although points are uncertain, the first uncertain row near such a
            point. None if every point is certain: no cleaning can change a prediction.
        """
        open_ = np.flatnonzero(~self.certain)
        if not open_.size:
            return None
        gain = self.information_gain()
        if gain.max() > 0:
            return int(gain.argmax())
        lists = (
            shortlist(self._ranked.rows, self._prior, self._ranked.lists[v], self._ranked.k) for v in open_
        )
        return min(int(nearest.rows[nearest.uncertain].min()) for nearest in lists)

    def condition(self, row: int, alternative: int) -> Self:
        """Learn that a row is one of its alternatives; changes this object.

        Parameters
        ----------
        row : int
            The row.
        alternative : int
            Index among the row's alternatives.

        Returns
        -------
        CPClean
            This object.

        Raises
        ------
        InvalidArgument
            If there is no such row or alternative, or it was ruled out before.
        """
        start, end = self._bounds(row)
        if not 0 <= alternative < end - start:
            raise InvalidArgument(
                f"row {row} has alternatives 0 to {end - start - 1}, not {alternative}",
                hint="Use condition_value for an answer that is no alternative.",
                argument="alternative",
            )
        if self._prior[start + alternative] == 0:
            raise InvalidArgument(
                f"alternative {alternative} of row {row} was ruled out before",
                hint="Use condition_value to replace an earlier answer.",
                argument="alternative",
            )
        agrees = np.arange(end - start) == alternative
        return self._restrict(row, agrees)

    def condition_value(self, row: int, features: ArrayLike, label: int | None = None) -> Self:
        """Learn the true features of a row, and perhaps its label; changes this object.

        Alternatives that agree are kept. If none does, the answer takes the place of all:
        one alternative, or one a label where the row's label stays uncertain.

        Parameters
        ----------
        row : int
            The row.
        features : array-like of shape (n_features,)
            Its encoded features; they agree within 1e-9 relative.
        label : int, optional
            Its label; by default what the row's alternatives say.

        Returns
        -------
        CPClean
            This object.

        Raises
        ------
        InvalidArgument
            If there is no such row, or the answer has another width or an unknown label.
        """
        start, end = self._bounds(row)
        rows = self._ranked.rows
        value = as_features(
            np.asarray(features, dtype=np.float64)[None], "features", n_features=rows.candidates.shape[1]
        )[0]
        if label is not None:
            as_labels(np.array([label]), "label", n_classes=rows.n_classes)
        known = rows.candidates[start:end]
        close = np.abs(known - value) <= SAME_ZERO + SAME_VALUE * np.maximum(np.abs(known), np.abs(value))
        agrees = close.all(axis=1) & (self._prior[start:end] > 0)
        if label is not None:
            agrees &= rows.labels[start:end] == label
        if agrees.any():
            return self._restrict(row, agrees)
        return self._replace(row, value, label)

    def belief(self, *, seed: int = 0) -> CleaningBelief:
        """State what accuracy the development points have over all worlds.

        Parameters
        ----------
        seed : int
            Of the halves for cross-fitting and of the sampled worlds.

        Returns
        -------
        CleaningBelief
            Bounds, expectation, spread and cross-fitted potential.
        """
        rng = np.random.default_rng(seed)
        rows, y = self._ranked.rows, self._ranked.y
        every = np.arange(len(y))
        hit_possible, hit_probability = self._possible[every, y], self._probabilities[every, y]
        certain = self.certain
        potential = cross_fitted_potential(
            self._ranked, self._prior, np.flatnonzero(certain), np.flatnonzero(~certain), rng
        )
        worlds = sample_worlds(rows, self._prior, SAMPLED_WORLDS, rng)
        default = most_probable_world(rows, self._prior)[None]
        return CleaningBelief(
            lower=float((certain & hit_possible).mean()),
            upper=float(hit_possible.mean()),
            expected=float(hit_probability.mean()),
            potential=potential,
            sd=float(world_hits(self._ranked, worlds, every).mean(axis=1).std()),
            n_certain_correct=int((certain & hit_possible).sum()),
            n_certain_wrong=int((certain & ~hit_possible).sum()),
            n_uncertain=int((~certain).sum()),
            default=float(world_hits(self._ranked, default, every).mean()),
        )

    def _bounds(self, row: int) -> tuple[int, int]:
        if not 0 <= row < self.n_rows:
            raise InvalidArgument(
                f"there are rows 0 to {self.n_rows - 1}, not {row}",
                hint="Rows are counted from 0 in the order of row_ptr.",
                argument="row",
            )
        return int(self._ranked.rows.row_ptr[row]), int(self._ranked.rows.row_ptr[row + 1])

    def _restrict(self, row: int, agrees: NDArray[np.bool_]) -> Self:
        start, end = self._bounds(row)
        kept = np.where(agrees, self._prior[start:end], 0.0)
        self._prior[start:end] = kept / kept.sum()
        # A certain point stays certain: fewer worlds cannot disagree more.
        near = [
            v
            for v in np.flatnonzero(~self.certain)
            if ((self._ranked.lists[v] >= start) & (self._ranked.lists[v] < end)).any()
        ]
        self._query(np.array(near, dtype=np.int64))
        return self

    def _replace(self, row: int, value: FloatArray, label: int | None) -> Self:
        start, end = self._bounds(row)
        rows = self._ranked.rows
        mass = np.bincount(rows.labels[start:end], self._prior[start:end], minlength=rows.n_classes)
        new_labels = np.flatnonzero(mass) if label is None else np.array([label])
        new_prior = mass[new_labels] if label is None else np.ones(1)
        row_ptr = rows.row_ptr.copy()
        row_ptr[row + 1 :] += len(new_labels) - (end - start)
        self._prior = np.concatenate([self._prior[:start], new_prior, self._prior[end:]])
        changed = replace(
            rows,
            candidates=np.concatenate(
                [
                    rows.candidates[:start],
                    np.repeat(value[None], len(new_labels), axis=0),
                    rows.candidates[end:],
                ]
            ),
            row_ptr=row_ptr,
            labels=np.concatenate([rows.labels[:start], new_labels, rows.labels[end:]]),
            prior=self._prior.copy(),
            row_of=np.repeat(np.arange(rows.n_rows, dtype=np.int64), np.diff(row_ptr)),
        )
        self._ranked = rank_points(changed, self._points, self._ranked.y, self._ranked.k)
        self._query(np.arange(len(self._points)))
        return self

    def _query(self, points: IntArray) -> None:
        """Ask Q1 and Q2 again for some points."""
        self._gain = None
        for v in points:
            nearest = shortlist(self._ranked.rows, self._prior, self._ranked.lists[v], self._ranked.k)
            possible = vote_support(nearest, self._ranked.k)
            # The support is exact; a sum over boundaries would leave a certain label short of 1.
            certain = possible.sum() == 1
            self._probabilities[v], self._possible[v] = 0.0, False
            self._possible[v, nearest.labels] = possible
            self._probabilities[v, nearest.labels] = (
                possible if certain else vote_probabilities(nearest, self._ranked.k)
            )


def _entropy(probabilities: FloatArray) -> FloatArray:
    """Entropy in bits along the first axis."""
    positive = np.maximum(probabilities, np.finfo(np.float64).tiny)
    return np.asarray(-(positive * np.log2(positive)).sum(axis=0))
