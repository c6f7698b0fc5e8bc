"""The value of each seller: Shapley values where whole sellers join or stay away.

Symbols
-------
M = sellers, T = development rows, K = neighbours that vote
s_r = seller of row r; a_r = 1 where row r has the development row's label
c_m(r) = rows of seller m that are nearer than row r
L = K - c_{s_r}(r) = how many nearer rows of others row r can bear
t = the moment of arrival of a seller, uniform on 0 .. 1 and independent
R = rows that can matter to a development row: the K nearest of each seller

The utility ``jia`` is a sum over rows: ``v(S) = (1/K) sum_r a_r [s_r in S] [N_S(r) < K]``,
where N_S(r) counts nearer rows of sellers in S. A seller that arrives at t finds every other
one there with probability t, so that the count of nearer rows of others has the generating
function ``prod_m (1 - t + t z^{c_m})``. Row r gives its own seller ``P(count < L)`` and takes
``t P(L - c_m <= count without m < L)`` from each other seller m, both integrated over t. They
are polynomials of degree below M, which Gauss-Legendre quadrature of floor(M/2) + 1 nodes
integrates exactly.

Sellers are paid by this game, never by the sum of their rows' values: copying one's rows
raises that sum, but not what the seller adds.

References
----------
R. Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms",
PVLDB 12(11), 2019, section 4 poses the seller game, at a cost of O(M^K). The polynomial
algorithm above is this library's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.embed.arrays import FloatArray, IntArray
from easeml_ray.errors import InvalidArgument
from easeml_ray.market.ranking import dev_blocks, nearest_first, nearest_of_each, squared_distances
from easeml_ray.market.shapley import Utility, checked, jia_by_rank

__all__ = ["MOST_ENUMERATED", "seller_shapley"]

MOST_ENUMERATED = 12
"""Most sellers whose coalitions are enumerated one by one."""

BLOCK_VALUES = 1 << 21  # float64 values of the largest array of one step, 16 MiB


def seller_shapley(
    X: ArrayLike,
    y: ArrayLike,
    owners: ArrayLike | Sequence[Sequence[int]],
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    *,
    k: int = 5,
    utility: Utility = "jia",
    n_classes: int | None = None,
) -> FloatArray:
    """Return the Shapley value of each seller.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Train features of all sellers together.
    y : array-like of int, shape (n_rows,)
        Class codes.
    owners : array-like of int, shape (n_rows,), or sequence of sequences of int
        The seller of each row, counted from 0; or all its owners, where a row is there only
        if every one of them takes part.
    X_dev : array-like of shape (n_dev, n_features)
        Development features.
    y_dev : array-like of int, shape (n_dev,)
        Class codes.
    k : int
        Neighbours K that vote, at least 1.
    utility : {"jia", "soft"}
        As in :func:`easeml_ray.market.knn_shapley`.
    n_classes : int, optional
        Classes; inferred from the codes by default.

    Returns
    -------
    ndarray of shape (n_sellers,)
        Values up to the largest owner named; 0 for one without rows. They sum to
        ``v(all) - v({})``. Exact for one owner a row and ``jia``, in polynomial time;
        exact by enumeration otherwise.

    Raises
    ------
    InvalidArgument
        If an array or a parameter is unusable, or enumeration is needed for more than
        :data:`MOST_ENUMERATED` sellers.

    Examples
    --------
    >>> X, y = [[0.0], [0.1], [5.0]], [1, 1, 0]
    >>> seller_shapley(X, y, [0, 0, 1], [[0.0], [5.0]], [1, 0], k=1)
    array([0.5, 0.5])
    """
    rows, labels, dev_rows, dev_labels, classes = checked(
        X, y, X_dev, y_dev, k=k, utility=utility, n_classes=n_classes
    )
    owned = _owner_lists(owners, rows.shape[0])
    present = np.unique(np.concatenate(owned))
    compact = [np.searchsorted(present, row) for row in owned]
    alone = all(row.size == 1 for row in compact)
    if alone and utility == "jia":
        groups = np.concatenate(compact)
    else:
        groups = _owner_masks(compact, present.size)
    total = np.zeros(present.size)
    for block in dev_blocks(dev_rows.shape[0], rows.shape[0]):
        order = nearest_first(squared_distances(rows, dev_rows[block]))
        # Every development row keeps as many rows: min(k, rows) of each group.
        kept = np.stack([nearest_of_each(line, groups, k) for line in order])
        match = labels[kept] == dev_labels[block][:, None]
        if not (alone and utility == "jia"):
            total += _enumerated(groups[kept], match, present.size, k, utility, classes)
        elif k == 1:
            # One row a seller: the row game, with sellers for rows.
            by_rank = jia_by_rank(match.astype(np.float64), 1)
            total += np.bincount(groups[kept].ravel(), by_rank.ravel(), minlength=present.size)
        else:
            total += _integrated(groups[kept], match, present.size, k)
    values = np.zeros(int(present[-1]) + 1)
    values[present] = total / dev_rows.shape[0]
    return values


def _owner_lists(owners: ArrayLike | Sequence[Sequence[int]], n_rows: int) -> list[IntArray]:
    given = list(owners)  # type: ignore[arg-type]
    if len(given) != n_rows:
        raise InvalidArgument(
            f"owners has {len(given)} entries for {n_rows} rows", hint="Give one a row.", argument="owners"
        )
    lists = []
    for row, entry in enumerate(given):
        try:
            raw = np.atleast_1d(np.asarray(entry))
            owned = np.unique(raw.astype(np.int64))
        except (TypeError, ValueError):
            raw = owned = np.array([], dtype=np.int64)
        if not owned.size or owned[0] < 0 or raw.dtype.kind not in "iu":
            raise InvalidArgument(
                f"the owner of row {row} is {entry!r}",
                hint="Number sellers from 0, and give every row at least one.",
                argument="owners",
            )
        lists.append(owned)
    return lists


def _owner_masks(owned: list[IntArray], n_sellers: int) -> IntArray:
    """Return the owners of each row as bits."""
    if n_sellers > MOST_ENUMERATED:
        raise InvalidArgument(
            f"{n_sellers} sellers with shared rows or the soft utility have too many coalitions to enumerate",
            hint=f"Take utility jia with one owner a row, or at most {MOST_ENUMERATED} sellers.",
            argument="owners",
        )
    return np.array([int((1 << row).sum()) for row in owned], dtype=np.int64)


def _integrated(sellers: IntArray, match: NDArray[np.bool_], n_sellers: int, k: int) -> FloatArray:
    """Return the values (M,), summed over development rows, of rows (T, R) nearest first."""
    x, w = np.polynomial.legendre.leggauss(n_sellers // 2 + 1)
    moments, weights = (x + 1.0) / 2.0, w / 2.0
    step = max(1, BLOCK_VALUES // (n_sellers * moments.size * k))
    total = np.zeros(n_sellers)
    for begin in range(0, sellers.shape[0], step):
        block = slice(begin, begin + step)
        mine, hits = sellers[block], match[block]
        nearer = np.zeros((mine.shape[0], n_sellers), dtype=np.int64)
        everyone = np.arange(mine.shape[0])
        for r in range(mine.shape[1]):
            hit = np.flatnonzero(hits[:, r])
            if hit.size:
                seller, line = mine[hit, r], np.arange(hit.size)
                others = nearer[hit]
                room = k - others[line, seller]
                others[line, seller] = 0
                gained, lost = _row_game(others, room, moments, weights, k)
                total += np.bincount(seller, gained, minlength=n_sellers) - lost.sum(axis=0)
            nearer[everyone, mine[:, r]] += 1
    return total / k


def _row_game(
    others: IntArray, room: IntArray, moments: FloatArray, weights: FloatArray, k: int
) -> tuple[FloatArray, FloatArray]:
    """Return what one matching row gives its seller, and takes from each other seller.

    Parameters
    ----------
    others : ndarray of int64, shape (h, M)
        Nearer rows of each other seller, for h development rows at once; 0 for its own.
    room : ndarray of int64, shape (h,)
        L, between 1 and k.
    moments, weights : ndarray of shape (G,)
        Quadrature on 0 .. 1.
    k : int
        Neighbours K; counts of K and more need not be told apart.

    Returns
    -------
    gained : ndarray of shape (h,)
        Integral of P(count < L).
    lost : ndarray of shape (h, M)
        Integral of t P(L - c_m <= count without m < L).
    """
    h, n_sellers = others.shape
    before = np.zeros((n_sellers + 1, h, moments.size, k))  # product over the sellers before m
    after = np.zeros_like(before)  # product over the sellers from m on
    before[0, :, :, 0] = after[n_sellers, :, :, 0] = 1.0
    for m in range(n_sellers):
        before[m + 1] = _times_factor(before[m], others[:, m], moments)
        last = n_sellers - 1 - m
        after[last] = _times_factor(after[last + 1], others[:, last], moments)
    # Distribution function of the count without m, at 0 .. k-1 nearer rows.
    without = np.empty((n_sellers, h, moments.size, k))
    for q in range(k):
        without[..., q] = (before[:-1, ..., : q + 1] * after[1:, ..., q::-1]).sum(axis=-1)
    below = np.cumsum(without, axis=-1)
    top = np.take_along_axis(below, (room - 1)[None, :, None, None], axis=-1)[..., 0]
    rest = room[:, None] - others - 1  # (h, M); -1 where seller m alone can displace the row
    bottom = np.take_along_axis(below, np.maximum(rest, 0).T[:, :, None, None], axis=-1)[..., 0]
    bottom = np.where((rest >= 0).T[:, :, None], bottom, 0.0)
    lost = ((top - bottom) @ (weights * moments)).T
    everyone = np.cumsum(before[n_sellers], axis=-1)
    gained = np.take_along_axis(everyone, (room - 1)[:, None, None], axis=-1)[..., 0] @ weights
    return gained, np.where(others > 0, lost, 0.0)


def _times_factor(product: FloatArray, count: IntArray, moments: FloatArray) -> FloatArray:
    """Multiply (h, G, k) coefficients by ``1 - t + t z^count``, dropping powers from k on."""
    if not count.any():
        return product
    source = np.arange(product.shape[-1])[None, :] - count[:, None]
    shifted = np.take_along_axis(product, np.maximum(source, 0)[:, None, :], axis=-1)
    shifted = np.where((source >= 0)[:, None, :], shifted, 0.0)
    t = moments[None, :, None]
    result: FloatArray = (1.0 - t) * product + t * shifted
    return result


def _enumerated(
    masks: IntArray, match: NDArray[np.bool_], n_sellers: int, k: int, utility: str, n_classes: int
) -> FloatArray:
    """Return the values (M,), summed over development rows, by trying every coalition."""
    coalitions = np.arange(1 << n_sellers)
    worth = np.zeros(coalitions.size)
    step = max(1, BLOCK_VALUES // coalitions.size)
    for begin in range(0, masks.shape[0], step):
        need, hit = masks[begin : begin + step], match[begin : begin + step]
        votes = np.zeros((need.shape[0], coalitions.size), dtype=np.int64)
        right = np.zeros_like(votes)
        for r in range(need.shape[1]):
            row = need[:, r, None]
            votes_now = ((coalitions & row) == row) & (votes < k)
            votes += votes_now
            right += votes_now & hit[:, r, None]
        if utility == "jia":
            worth += (right / k).sum(axis=0)
        else:
            worth += np.where(votes > 0, right / np.maximum(votes, 1), 1.0 / n_classes).sum(axis=0)
    return _shapley_of(worth, n_sellers)


def _shapley_of(worth: FloatArray, n_players: int) -> FloatArray:
    """Return the Shapley values of a game given by the worth of each coalition (as bits)."""
    from math import factorial

    coalitions = np.arange(worth.size)
    size = np.bitwise_count(coalitions)
    weight = np.array([factorial(s) * factorial(n_players - 1 - s) for s in range(n_players)])
    weight = weight / factorial(n_players)
    values = np.empty(n_players)
    for player in range(n_players):
        absent = coalitions[(coalitions >> player) & 1 == 0]
        rise = worth[absent | (1 << player)] - worth[absent]
        values[player] = (weight[size[absent]] * rise).sum()
    return values
