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
into[c, s, t] = the same if row i is nearer than the boundary
Q[c | i = q] = V[c, q] + sum_{t < q} w_t D_i.out[t] + sum_{t > q} w_t D_i.into[t], t not of row i

If each row is sure of its label, the tallies of different labels are independent: one
polynomial a label, and who wins follows from ``tallies.label_votes``, in time that grows
polynomially with the number of labels. If some row is not, labels are counted jointly.

References
----------
.. [1] B. Karlas et al., "Nearest Neighbor Classifiers over Incomplete Information: From
   Certain Answers to Certain Predictions", VLDB 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray
from easeml_ray.cleaning.counting import Counting, Group, counting
from easeml_ray.cleaning.shortlists import Shortlist

__all__ = ["ConditionalVotes", "conditional_votes", "vote_probabilities", "vote_support"]

BLOCK_VALUES = 4_000_000
FEWEST_BOUNDARIES = 64


@dataclass(frozen=True, slots=True)
class ConditionalVotes:
    """Probabilities of the labels of one point, given each alternative of each row.

    Attributes
    ----------
    base : ndarray of shape (L,)
        Given nothing.
    inside : ndarray of shape (L, T)
        Given that an element's row is that element.
    outside : ndarray of shape (L, R)
        Given that a row is an alternative beyond the shortlist.
    """

    base: FloatArray
    inside: FloatArray
    outside: FloatArray


def vote_probabilities(shortlist: Shortlist, k: int) -> FloatArray:
    """Probability that each label on the list is predicted.

    Parameters
    ----------
    shortlist : Shortlist
        Of one point.
    k : int
        Neighbours that vote.

    Returns
    -------
    ndarray of shape (L,)
        Sums to 1.
    """
    result = np.zeros(len(shortlist.labels))
    for block in _blocks(shortlist, k):
        result += block.votes(np.float64) @ shortlist.weight[block.places]
    return result


def vote_support(shortlist: Shortlist, k: int) -> NDArray[np.bool_]:
    """Whether some world predicts each label, by the same sums over booleans.

    Parameters
    ----------
    shortlist : Shortlist
        Of one point.
    k : int
        Neighbours that vote.

    Returns
    -------
    ndarray of bool, shape (L,)
        True for the labels that are possible.
    """
    result = np.zeros(len(shortlist.labels), dtype=bool)
    for block in _blocks(shortlist, k):
        result |= block.votes(np.bool_).any(axis=1)
    return result


def conditional_votes(shortlist: Shortlist, k: int) -> ConditionalVotes:
    """Probability that each label is predicted, given each alternative of each row.

    Parameters
    ----------
    shortlist : Shortlist
        Of one point.
    k : int
        Neighbours that vote.

    Returns
    -------
    ConditionalVotes
        For rows that are certain already, the unconditional probabilities.
    """
    n_labels = len(shortlist.labels)
    base = np.zeros(n_labels)
    own = np.zeros((n_labels, len(shortlist.elements)))
    inside, outside = np.zeros_like(own), np.zeros((n_labels, len(shortlist.rows)))
    for block in _blocks(shortlist, k):
        own[:, block.places] = block.votes(np.float64)
        base += own[:, block.places] @ shortlist.weight[block.places]
        for group in block.groups():
            _add_boundaries(shortlist, block, group, inside, outside)
    uncertain = np.zeros(len(shortlist.rows), dtype=bool)
    uncertain[shortlist.uncertain] = True
    return ConditionalVotes(
        base=base,
        inside=np.where(uncertain[shortlist.row], inside + own, base[:, None]),
        outside=np.where(uncertain, outside, base[:, None]),
    )


def _blocks(shortlist: Shortlist, k: int) -> list[Counting]:
    """Cut the boundaries so that the polynomials of all rows fit into memory."""
    size = max(FEWEST_BOUNDARIES, BLOCK_VALUES // (k * (1 + len(shortlist.uncertain))))
    return [
        counting(shortlist, k, slice(start, start + size))
        for start in range(0, len(shortlist.elements), size)
    ]


def _add_boundaries(
    shortlist: Shortlist, block: Counting, group: Group, inside: FloatArray, outside: FloatArray
) -> None:
    """Add a block's boundaries to what the group's rows have as alternatives."""
    weight = shortlist.weight[block.places]
    rows = shortlist.uncertain[group.members]
    beyond = np.einsum("sgt,cst->cgt", group.others, group.out * weight)
    outside[:, rows] += beyond.sum(axis=2)
    # nearer[..., j] sums the boundaries before place j of the block, farther those from j on.
    nearer = np.zeros((*beyond.shape[:2], beyond.shape[2] + 1))
    np.cumsum(beyond, axis=2, out=nearer[:, :, 1:])
    member = np.full(len(shortlist.rows), -1)
    member[rows] = np.arange(len(rows))
    for label, into in group.into.items():
        element = np.flatnonzero((member[shortlist.row] >= 0) & (shortlist.label == label))
        at = np.clip(element - block.places.start, 0, len(weight))
        own_member = member[shortlist.row[element]]
        within = np.einsum("sgt,cst->cgt", group.others, into * weight)
        farther = np.zeros_like(nearer)
        farther[:, :, :-1] = np.cumsum(within[:, :, ::-1], axis=2)[:, :, ::-1]
        inside[:, element] += nearer[:, own_member, at] + farther[:, own_member, at]
