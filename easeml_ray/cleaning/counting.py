"""Two ways of counting the votes before a boundary: a tally a label, or one joint tally.

Symbols
-------
As in boundaries.py; T = boundaries of the block, S = tallies, G = rows of a group.

If every row is sure of its label, the tallies of different labels are independent and one
univariate polynomial a label is enough (:class:`SeparateTallies`). If alternatives of one
row differ in the label, tallies are counted jointly (:class:`JointTallies`), which grows as
n_labels ** (k - 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.cleaning.shortlists import Shortlist
from easeml_ray.cleaning.tallies import Coefficients, label_votes, leave_one_out, product, tally_algebra

__all__ = ["Counting", "Group", "JointTallies", "SeparateTallies", "counting"]


@dataclass(frozen=True, slots=True)
class Group:
    """Uncertain rows whose tallies are counted by the same polynomials.

    Attributes
    ----------
    members : ndarray of int64, shape (G,)
        Positions in ``Shortlist.uncertain``.
    others : ndarray of shape (S, G, T)
        Probability of each tally among the rows other than the member and the boundary's; 0 at
        boundaries of the member itself.
    out : ndarray of shape (L, S, T)
        Probability that a label wins given the tally, if the member is beyond the boundary.
    into : dict of int to ndarray of shape (L, S, T)
        The same if the member is nearer, by the label that it votes for.
    """

    members: IntArray
    others: FloatArray
    out: FloatArray
    into: dict[int, FloatArray]


class Counting(Protocol):
    """Votes at a block of boundaries of one shortlist.

    Attributes
    ----------
    places : slice
        The block, in places of the shortlist.
    """

    places: slice

    def votes(self, dtype: type[np.generic]) -> Coefficients:
        """Return V: the probability that each label wins at each boundary, (L, T).

        With ``np.bool_``, whether that is positive.
        """

    def groups(self) -> Iterator[Group]:
        """Yield every uncertain row once, in groups."""


class SeparateTallies:
    """One polynomial a label; every row on the list is sure of its label.

    Parameters
    ----------
    shortlist : Shortlist
        Of one point.
    k : int
        Neighbours that vote.
    places : slice
        The boundaries of interest.
    """

    def __init__(self, shortlist: Shortlist, k: int, places: slice) -> None:
        label_of_row = shortlist.label_of_row
        assert label_of_row is not None, "a row's elements differ in the label"
        self.places = places
        self._k = k
        self._algebra = tally_algebra(1, k - 1)
        self._n_labels = len(shortlist.labels)
        self._label_of_uncertain = label_of_row[shortlist.uncertain]
        self._own = shortlist.own[:, places]
        self._after = shortlist.farther_mass()[:, places]
        self._before = shortlist.nearer_mass()[:, places]
        self._sure = shortlist.sure_counts()[:, places]
        self._boundary_label = shortlist.label[places]

    def votes(self, dtype: type[np.generic]) -> Coefficients:
        """See :class:`Counting`."""
        return label_votes(self._factors(np.dtype(dtype)), self._k)

    def groups(self) -> Iterator[Group]:
        """See :class:`Counting`: one group a label."""
        factors = [f[:, None, :] for f in self._factors(np.dtype(np.float64))]
        for label in range(self._n_labels):
            members = np.flatnonzero(self._label_of_uncertain == label)
            if not members.size:
                continue
            others = leave_one_out(self._algebra, *self._polynomials(label, np.dtype(np.float64)))
            others[:, self._own[members]] = 0.0
            # The vote is linear in this label's polynomial: unit vectors give its coefficients.
            units = np.eye(self._k + 1)[:, :, None]
            by_tally = label_votes([*factors[:label], units, *factors[label + 1 :]], self._k)
            by_tally = np.concatenate([by_tally, np.zeros_like(by_tally[:, :1])], axis=1)
            mine = self._boundary_label == label
            yield Group(
                members=members,
                others=others,
                out=np.where(mine, by_tally[:, 1 : self._k + 1], by_tally[:, : self._k]),
                into={label: np.where(mine, by_tally[:, 2:], by_tally[:, 1 : self._k + 1])},
            )

    def _polynomials(self, label: int, dtype: np.dtype[Any]) -> tuple[Coefficients, Coefficients]:
        """Leaves (S, G, T) of the label's uncertain rows, and the certain rows' product (S, T)."""
        members = self._label_of_uncertain == label
        leaves = self._algebra.one_row(
            _as_coefficients(self._after[members], dtype), [_as_coefficients(self._before[members], dtype)]
        )
        return leaves, self._algebra.power(self._sure[label : label + 1], dtype)

    def _factors(self, dtype: np.dtype[Any]) -> list[Coefficients]:
        """F_l: the boundary's own vote included, (k + 1, T) a label."""
        factors = []
        for label in range(self._n_labels):
            others = product(self._algebra, *self._polynomials(label, dtype))
            nothing = np.zeros_like(others[:1])
            mine = self._boundary_label == label
            factors.append(
                np.where(mine, np.concatenate([nothing, others]), np.concatenate([others, nothing]))
            )
        return factors


class JointTallies:
    """One polynomial in all labels; the alternatives of a row may differ in the label.

    Parameters
    ----------
    shortlist : Shortlist
        Of one point.
    k : int
        Neighbours that vote.
    places : slice
        The boundaries of interest.
    """

    def __init__(self, shortlist: Shortlist, k: int, places: slice) -> None:
        self.places = places
        self._k = k
        self._n_labels = len(shortlist.labels)
        self._algebra = tally_algebra(self._n_labels, k - 1)
        self._own = shortlist.own[:, places]
        self._after = shortlist.farther_mass()[:, places]
        self._before = [
            shortlist.nearer_mass(shortlist.label == label)[:, places] for label in range(self._n_labels)
        ]
        self._sure = shortlist.sure_counts()[:, places]
        self._boundary_label = shortlist.label[places]

    def votes(self, dtype: type[np.generic]) -> Coefficients:
        """See :class:`Counting`."""
        tallies = product(self._algebra, *self._polynomials(np.dtype(dtype)))
        wins = self._wins(None)
        if dtype is np.bool_:
            return np.asarray((wins & tallies).any(axis=1))
        return np.asarray((wins * tallies).sum(axis=1))

    def groups(self) -> Iterator[Group]:
        """See :class:`Counting`: one group of all rows."""
        others = leave_one_out(self._algebra, *self._polynomials(np.dtype(np.float64)))
        if others.shape[1] == 0:
            return
        others[:, self._own] = 0.0
        yield Group(
            members=np.arange(others.shape[1]),
            others=others,
            out=self._wins(None).astype(np.float64),
            into={label: self._wins(label).astype(np.float64) for label in range(self._n_labels)},
        )

    def _polynomials(self, dtype: np.dtype[Any]) -> tuple[Coefficients, Coefficients]:
        before = [_as_coefficients(mass, dtype) for mass in self._before]
        leaves = self._algebra.one_row(_as_coefficients(self._after, dtype), before)
        return leaves, self._algebra.power(self._sure, dtype)

    def _wins(self, extra: int | None) -> Coefficients:
        """Whether a label wins by a tally, the boundary's vote and perhaps one more; (L, S, T)."""
        units = np.eye(self._n_labels, dtype=np.int64)
        tally = self._algebra.monomials[:, None, :] + units[None, :, :]
        if extra is not None:
            tally = tally + units[extra]
        # argmax takes the first of equals: the smaller label wins a tie.
        winner = np.where(tally.sum(axis=2) == self._k, tally.argmax(axis=2), -1)
        return np.asarray(winner[:, self._boundary_label][None] == np.arange(self._n_labels)[:, None, None])


def counting(shortlist: Shortlist, k: int, places: slice) -> Counting:
    """Choose the way of counting that the shortlist needs.

    Parameters
    ----------
    shortlist : Shortlist
        Of one point.
    k : int
        Neighbours that vote.
    places : slice
        The boundaries of interest.

    Returns
    -------
    Counting
        Separate tallies when every row is sure of its label, else joint ones.
    """
    if shortlist.label_of_row is None:
        return JointTallies(shortlist, k, places)
    return SeparateTallies(shortlist, k, places)


def _as_coefficients(mass: FloatArray, dtype: np.dtype[Any]) -> Coefficients:
    """Probabilities, or whether they are positive."""
    return mass > 0 if dtype == np.bool_ else mass
