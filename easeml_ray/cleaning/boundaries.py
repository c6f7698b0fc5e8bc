"""Who wins the vote of the k nearest rows at one point, summed over the k-th nearest.

Symbols
-------
k = neighbours that vote
t = boundary: the k-th nearest row is the t-th alternative on the shortlist
w_t, y_t = prior and label of that alternative
T, P, L = alternatives on the shortlist, uncertain rows among them, labels among them
V[c, t] = P(label c wins | t is the boundary's row and k - 1 other rows are nearer) and that
          they are, by the polynomials of tallies.py
Q[c] = sum_t w_t V[c, t], probability that c is predicted (Q2 of the paper)
D_i[s, t] = probability of tally s among the rows other than i and the boundary's
out[c, s, t] = 1 or P(c wins) if those rows have tally s and row i is beyond the boundary
into[c, s, t] = the same if row i is nearer than the boundary, by the label that it votes for
Q[c | i = q] = V[c, q] + sum_{t < q} w_t D_i.out[t] + sum_{t > q} w_t D_i.into[t], t not of row i

Tallies are counted jointly, because the alternatives of one row may differ in the label: that
grows as L ** (k - 1). Points whose rows are all sure of their labels are swept, see sweeps.py.

References
----------
.. [1] B. Karlas et al., "Nearest Neighbor Classifiers over Incomplete Information: From
   Certain Answers to Certain Predictions", VLDB 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray
from easeml_ray.cleaning.shortlists import Shortlist
from easeml_ray.cleaning.tallies import Coefficients, leave_one_out, product, tally_algebra

__all__ = ["ConditionalVotes", "conditional_votes", "vote_probabilities", "vote_support"]

BLOCK_VALUES = 4_000_000
FEWEST_BOUNDARIES = 64


@dataclass(frozen=True, slots=True)
class ConditionalVotes:
    """Probabilities of the labels of one point, given each alternative of each row."""

    base: FloatArray  # (L,), given nothing
    inside: FloatArray  # (L, T), given that an element's row is that element
    outside: FloatArray  # (L, R), given that a row is an alternative beyond the shortlist


def vote_probabilities(shortlist: Shortlist, k: int) -> FloatArray:
    """Probability that each label on the list is predicted, (L,)."""
    result = np.zeros(len(shortlist.labels))
    for block in _blocks(shortlist, k):
        result += block.votes(np.float64) @ shortlist.weight[block.places]
    return result


def vote_support(shortlist: Shortlist, k: int) -> NDArray[np.bool_]:
    """Whether some world predicts each label, (L,), by the same sums over booleans."""
    result = np.zeros(len(shortlist.labels), dtype=bool)
    for block in _blocks(shortlist, k):
        result |= block.votes(np.bool_).any(axis=1)
    return result


def conditional_votes(shortlist: Shortlist, k: int) -> ConditionalVotes:
    """Probability of each label given each alternative of each row; of certain rows the unconditional one."""
    n_labels = len(shortlist.labels)
    base = np.zeros(n_labels)
    own = np.zeros((n_labels, len(shortlist.elements)))
    inside, outside = np.zeros_like(own), np.zeros((n_labels, len(shortlist.rows)))
    for block in _blocks(shortlist, k):
        own[:, block.places] = block.votes(np.float64)
        base += own[:, block.places] @ shortlist.weight[block.places]
        if shortlist.uncertain.size:
            _add_boundaries(shortlist, block, inside, outside)
    uncertain = np.zeros(len(shortlist.rows), dtype=bool)
    uncertain[shortlist.uncertain] = True
    return ConditionalVotes(
        base=base,
        inside=np.where(uncertain[shortlist.row], inside + own, base[:, None]),
        outside=np.where(uncertain, outside, base[:, None]),
    )


def _blocks(shortlist: Shortlist, k: int) -> list[Block]:
    """Cut the boundaries so that the polynomials of all rows fit into memory."""
    size = max(FEWEST_BOUNDARIES, BLOCK_VALUES // (k * (1 + len(shortlist.uncertain))))
    return [
        Block(shortlist, k, slice(start, start + size)) for start in range(0, len(shortlist.elements), size)
    ]


def _add_boundaries(shortlist: Shortlist, block: Block, inside: FloatArray, outside: FloatArray) -> None:
    """Add a block's boundaries to what the uncertain rows have as alternatives."""
    weight = shortlist.weight[block.places]
    rows, others = shortlist.uncertain, block.others()
    beyond = np.einsum("sgt,cst->cgt", others, block.wins() * weight)
    outside[:, rows] += beyond.sum(axis=2)
    # nearer[..., j] sums the boundaries before place j of the block, farther those from j on.
    nearer = np.zeros((*beyond.shape[:2], beyond.shape[2] + 1))
    np.cumsum(beyond, axis=2, out=nearer[:, :, 1:])
    member = np.full(len(shortlist.rows), -1)
    member[rows] = np.arange(len(rows))
    for label in range(len(shortlist.labels)):
        element = np.flatnonzero((member[shortlist.row] >= 0) & (shortlist.label == label))
        at = np.clip(element - block.places.start, 0, len(weight))
        own_member = member[shortlist.row[element]]
        within = np.einsum("sgt,cst->cgt", others, block.wins(label) * weight)
        farther = np.zeros_like(nearer)
        farther[:, :, :-1] = np.cumsum(within[:, :, ::-1], axis=2)[:, :, ::-1]
        inside[:, element] += nearer[:, own_member, at] + farther[:, own_member, at]


class Block:
    """Votes at some boundaries of a shortlist, `places`, by one polynomial in all labels."""

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
        """Return V: P that a label wins at a boundary, (L, T); as booleans, whether it can."""
        tallies = product(self._algebra, *self._polynomials(np.dtype(dtype)))
        wins = self.wins()
        if dtype is np.bool_:
            return np.asarray((wins & tallies).any(axis=1))
        return np.asarray((wins * tallies).sum(axis=1))

    def others(self) -> FloatArray:
        """Probability of each tally among the rows other than row i and the boundary's, D, (S, P, T)."""
        # 0 at the boundaries of row i itself.
        others = leave_one_out(self._algebra, *self._polynomials(np.dtype(np.float64)))
        others[:, self._own] = 0.0
        return others

    def wins(self, extra: int | None = None) -> Coefficients:
        """Whether a label wins by a tally, the boundary's vote and perhaps one more; (L, S, T)."""
        units = np.eye(self._n_labels, dtype=np.int64)
        tally = self._algebra.monomials[:, None, :] + units[None, :, :]
        if extra is not None:
            tally = tally + units[extra]
        # argmax takes the first of equals: the smaller label wins a tie.
        winner = np.where(tally.sum(axis=2) == self._k, tally.argmax(axis=2), -1)
        return np.asarray(winner[:, self._boundary_label][None] == np.arange(self._n_labels)[:, None, None])

    def _polynomials(self, dtype: np.dtype[Any]) -> tuple[Coefficients, Coefficients]:
        before = [_as_coefficients(mass, dtype) for mass in self._before]
        leaves = self._algebra.one_row(_as_coefficients(self._after, dtype), before)
        return leaves, self._algebra.power(self._sure, dtype)


def _as_coefficients(mass: FloatArray, dtype: np.dtype[Any]) -> Coefficients:
    """Probabilities, or whether they are positive."""
    return mass > 0 if dtype == np.bool_ else mass
