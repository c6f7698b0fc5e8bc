"""CPClean: which row to clean next, so that the fewest answers settle every prediction.

Symbols
-------
V = development points
Q_v = probabilities of the labels that point v is predicted, over all worlds
H = entropy in bits
p_ij = probability that row i is its alternative j
gain_i = mean_v (H(Q_v) - sum_j p_ij H(Q_v | i = j)), expected information of cleaning row i

Reference: B. Karlas et al., "Nearest Neighbor Classifiers over Incomplete Information: From
Certain Answers to Certain Predictions", VLDB 2021, algorithm CPClean.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.arrays import FloatArray, IntArray, as_features, as_labels
from easeml_ray.cleaning.alternatives import check_neighbours, read_alternatives
from easeml_ray.cleaning.batches import Batch, choose_batch
from easeml_ray.cleaning.knowledge import Knowledge
from easeml_ray.cleaning.pointwise import CERTAINTY, CONDITIONAL, PROBABILITY, outcomes
from easeml_ray.cleaning.ranking import rank_points
from easeml_ray.cleaning.worlds import CleaningBelief, believe
from easeml_ray.errors import InvalidArgument, OneClass

__all__ = ["CPClean"]

# Gains closer than this are equal, so that the order does not hang on rounding.
GAIN_DECIMALS = 10
DRAWS = 16


class CPClean:
    """Certain predictions of development points, and what cleaning each row tells of them.

    Distances are ranked once; an answer only changes the prior, and what it touches is asked
    again on demand. An answer that was no alternative is inserted by rank. Objects over parts of
    the points (:meth:`shard`) take the same answers; what they return adds up.

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
    OneClass
        If all rows are of one class: then every prediction is that class.

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
        if (rows.labels == rows.labels[0]).all():
            raise OneClass(
                f"all {rows.n_rows} rows are of class {rows.labels[0]}, and so is every prediction",
                hint="Give rows of at least two classes.",
            )
        points = as_features(X_dev, "X_dev", n_features=rows.candidates.shape[1])
        as_labels(y, "y_dev", n_rows=len(points))
        ranked = rank_points(rows, points, y, check_neighbours(k, rows.n_rows))
        self._of = Knowledge(ranked, rows.prior.copy())

    def shard(self, points: ArrayLike) -> Self:
        """Return the same for some of the development points; nothing is ranked again.

        Parameters
        ----------
        points : array-like of int
            Which points.

        Returns
        -------
        CPClean
            A new object of its own. Its :meth:`information` and its counts of points add up
            with those of the other shards.
        """
        part = type(self).__new__(type(self))
        ranked = self._of.ranked.subset(np.asarray(points, dtype=np.int64))
        part._of = Knowledge(ranked, self._of.prior.copy())
        return part

    @property
    def n_points(self) -> int:
        """Number of development points."""
        return self._of.ranked.n_points

    @property
    def knowledge(self) -> Knowledge:
        """What everything here is read from; to be read only."""
        return self._of

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self._of.ranked.rows.n_rows

    @property
    def row_ptr(self) -> IntArray:
        """Where each row's alternatives start, shape (n_rows + 1,)."""
        return self._of.ranked.rows.row_ptr.copy()

    @property
    def candidates(self) -> FloatArray:
        """Features of the alternatives, shape (n_alternatives, n_features)."""
        return self._of.ranked.rows.candidates.copy()

    @property
    def labels(self) -> IntArray:
        """Label of each alternative, shape (n_alternatives,)."""
        return self._of.ranked.rows.labels.copy()

    @property
    def prior(self) -> FloatArray:
        """Present probability of each alternative, shape (n_alternatives,)."""
        return self._of.prior.copy()

    @property
    def uncertain_rows(self) -> IntArray:
        """Rows with more than one possible alternative."""
        possible = np.add.reduceat((self._of.prior > 0).astype(np.int64), self._of.ranked.rows.row_ptr[:-1])
        return np.flatnonzero(possible > 1)

    @property
    def label_probabilities(self) -> FloatArray:
        """Probability of each label for each development point, shape (n_points, n_classes)."""
        self._of.find(PROBABILITY)
        return self._of.probabilities.copy()

    @property
    def possible_labels(self) -> NDArray[np.bool_]:
        """Whether some world predicts the label for the point, shape (n_points, n_classes)."""
        self._of.find(CERTAINTY)
        return self._of.possible.copy()

    @property
    def certain(self) -> NDArray[np.bool_]:
        """Development points that every world predicts alike, shape (n_points,)."""
        self._of.find(CERTAINTY)
        return np.asarray(self._of.possible.sum(axis=1) == 1)

    @property
    def certain_fraction(self) -> float:
        """Fraction of development points that every world predicts alike."""
        return float(self.certain.mean())

    def information(self, points: ArrayLike | None = None) -> FloatArray:
        """Compute the expected information of cleaning each row, summed over development points.

        Parameters
        ----------
        points : array-like of int, optional
            Which points; by default all. Those that are certain have nothing to be told.

        Returns
        -------
        ndarray of shape (n_rows,)
            Bits, not rounded: what a shard returns, to be added up.
        """
        some = None if points is None else np.asarray(points, dtype=np.int64)
        self._of.find(CONDITIONAL, some)
        return self._of.near.total(some)

    def information_gain(self, *, sample: int | None = None, seed: int = 0) -> FloatArray:
        """Compute the expected information of cleaning each row about development predictions.

        Parameters
        ----------
        sample : int, optional
            Look at this many of the uncertain points only, drawn without replacement, and scale
            up: an unbiased estimate for large development sets.
        seed : int
            Of the sample.

        Returns
        -------
        ndarray of shape (n_rows,)
            Bits, mean over all development points, rounded to 1e-10 so that equal gains tie.
            0 for rows that are certain.

        Raises
        ------
        InvalidArgument
            If the sample is empty.
        """
        if sample is None:
            return np.round(self.information() / self.n_points, GAIN_DECIMALS)
        if sample < 1:
            raise InvalidArgument(f"sample is {sample}", hint="Give at least 1.", argument="sample")
        open_ = np.flatnonzero(~self.certain)
        chosen = np.sort(np.random.default_rng(seed).permutation(open_)[:sample])
        scale = len(open_) / max(1, len(chosen)) / self.n_points
        return np.round(self.information(chosen) * scale, GAIN_DECIMALS)

    def suggest(
        self,
        n_rows: int,
        *,
        excluded: ArrayLike = (),
        draws: int = DRAWS,
        seed: int = 0,
        alone: FloatArray | None = None,
    ) -> Batch:
        """Choose rows to be cleaned together, before any of the answers is known.

        Parameters
        ----------
        n_rows : int
            Rows wanted.
        excluded : array-like of int
            Rows that nobody is going to be asked for.
        draws : int
            Joint draws of what the chosen rows may turn out to be.
        seed : int
            Of the draws.
        alone : ndarray of shape (n_rows,), optional
            :meth:`information`, where it is known already.

        Returns
        -------
        Batch
            In the order of choice: each row tells most once those before it are known. Where no
            row tells anything by itself although points are uncertain, rows near such points
            come first, in their order. Fewer where no further row would tell anything.

        Raises
        ------
        InvalidArgument
            If no row or no draw is wanted.
        """
        open_ = np.flatnonzero(~self.certain)
        told = self.information() if alone is None else alone
        left_out = np.asarray(excluded, dtype=np.int64)
        # Only where no row tells anything is it asked which rows could.
        most = np.delete(told, left_out).max(initial=0.0)
        silent = open_.size and np.round(most / self.n_points, GAIN_DECIMALS) <= 0
        return choose_batch(
            self._of.ranked,
            self._of.prior,
            self._of.near,
            open_,
            told,
            first=self._of.rows_near(open_) if silent else np.empty(0, dtype=np.int64),
            n_rows=n_rows,
            n_draws=draws,
            excluded=left_out,
            decimals=GAIN_DECIMALS,
            rng=np.random.default_rng(seed),
        )

    def outcomes(self) -> FloatArray:
        """Compute the expected development accuracy given each alternative of each row.

        Returns
        -------
        ndarray of shape (n_alternatives,)
            In 0 .. 1; NaN for alternatives that are ruled out.
        """
        return outcomes(self._of.ranked, self._of.prior, np.arange(self.n_points)) / self.n_points

    def next_row(self, *, sample: int | None = None, seed: int = 0) -> int | None:
        """Return the row to clean next.

        Parameters
        ----------
        sample : int, optional
            As for :meth:`information_gain`; another seed in each step looks at other points.
        seed : int
            Of the sample.

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
        gain = self.information_gain(sample=sample, seed=seed)
        if gain.max() > 0:
            return int(gain.argmax())
        return int(self._of.rows_near(open_)[0])

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
        InvalidAnswer
            If the row is certain already.
        """
        start, end = self._of.bounds(row)
        if not 0 <= alternative < end - start:
            raise InvalidArgument(
                f"row {row} has alternatives 0 to {end - start - 1}, not {alternative}",
                hint="Use condition_value for an answer that is no alternative.",
                argument="alternative",
            )
        if self._of.prior[start + alternative] == 0:
            raise InvalidArgument(
                f"alternative {alternative} of row {row} was ruled out before",
                hint="Use condition_value to replace an earlier answer.",
                argument="alternative",
            )
        self._of.check_uncertain(row)
        agrees = np.arange(end - start) == alternative
        self._of.restrict(row, agrees)
        return self

    def condition_value(
        self, row: int, features: ArrayLike, label: int | None = None, *, correct: bool = False
    ) -> Self:
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
        correct : bool
            The answer corrects an earlier one: the row may be certain already.

        Returns
        -------
        CPClean
            This object.

        Raises
        ------
        InvalidArgument
            If there is no such row, or the answer has another width or an unknown label.
        InvalidAnswer
            If the row is certain already and nothing is to be corrected.
        """
        if not correct:
            self._of.check_uncertain(row)
        self._of.bounds(row)
        rows = self._of.ranked.rows
        value = as_features(
            np.asarray(features, dtype=np.float64)[None], "features", n_features=rows.candidates.shape[1]
        )[0]
        if label is not None:
            as_labels(np.array([label]), "label", n_classes=rows.n_classes)
        agrees = self._of.agreeing(row, value, label)
        if agrees.any():
            self._of.restrict(row, agrees)
        else:
            self._of = self._of.replaced(row, value, label)
        return self

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
        return believe(self._of, seed=seed)
