"""The value of each seller: Shapley values where whole sellers join or stay away.

Symbols
-------
M = sellers, T = development rows, K = neighbours that vote
s_r = seller of row r; a_r = 1 where row r has the development row's label
c_m(r) = rows of seller m that are nearer than row r
L = K - c_{s_r}(r) = how many nearer rows of others row r can bear
t = the moment of arrival of a seller, uniform on 0 .. 1 and independent
R = rows that can matter to a development row: the K nearest of each seller

The utility ``jia`` is a sum over rows: ``v(S) = (1/K) sum_r a_r [s_r in S] [N_S(r) < K]``, where N_S(r)
counts nearer rows of sellers in S. A seller that arrives at t finds every other one there with probability t,
so that the count of nearer rows of others has the generating function ``prod_m (1 - t + t z^{c_m})``. Row r
gives its own seller ``P(count < L)`` and takes ``t P(L - c_m <= count without m < L)`` from each other seller
m, both integrated over t. They are polynomials of degree below M, which Gauss-Legendre quadrature of
floor(M/2) + 1 nodes integrates exactly.

Sellers are paid by this game, never by the sum of their rows' values: copying one's rows
raises that sum, and with one neighbour changes nothing of what the seller adds.

References
----------
R. Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms",
PVLDB 12(11), 2019, section 4 poses the seller game, at a cost of O(M^K). The polynomial
algorithm above is this library's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.errors import InvalidArgument
from easeml_ray.market.ranking import nearest_of_each
from easeml_ray.market.shapley import Utility, checked

__all__ = ["MOST_ENUMERATED", "Owned", "seller_shapley"]

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
        Values up to the largest owner named; 0 for one without rows. They sum to ``v(all) - v({})``. Exact
        for one owner a row and ``jia``, in polynomial time; exact by enumeration otherwise.

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
    from easeml_ray.market.game import add_games

    rows, labels, dev_rows, dev_labels, classes = checked(
        X, y, X_dev, y_dev, k=k, utility=utility, n_classes=n_classes
    )
    owned = Owned.of(owners, rows.shape[0])
    total = np.zeros(owned.n_sellers)
    alone = owned.alone and utility == "jia"
    if not alone and owned.n_sellers > MOST_ENUMERATED:
        raise InvalidArgument(
            f"{owned.n_sellers} sellers with shared rows or the soft utility have too many coalitions to "
            "enumerate",
            hint=f"Take utility jia with one owner a row, at most {MOST_ENUMERATED} sellers, or "
            "sampled_seller_shapley.",
            argument="owners",
        )
    moments, weights = _quadrature(owned.n_sellers)
    for part, kept in nearest_of_each(rows, dev_rows, owned.groups, k):
        match = labels[kept] == dev_labels[part][:, None]
        groups = owned.groups[kept]
        if not alone:
            total += _enumerated(owned.masks()[groups], match, owned.n_sellers, k, utility, classes)
        elif kept.shape[1] == owned.n_sellers:
            # One row a seller can matter: the row game, with sellers for rows.
            _add_row_games(groups, match, k, total)
        else:
            add_games(groups, match, owned.n_sellers, k, moments, weights / k, total)
    return owned.spread(total / dev_rows.shape[0])


@dataclass(frozen=True, slots=True)
class Owned:
    """Who owns which rows; sellers without rows are left out.

    present : (M,) numbers of the sellers with rows, as given
    groups : (n,) group of each row: rows of the same owners are a group; where no row is shared,
        the group is the seller
    owners, owner_ptr : owners of each group, one after the other, and where each group's begin
    """

    present: IntArray
    groups: IntArray
    owners: IntArray
    owner_ptr: IntArray

    @classmethod
    def of(cls, owners: ArrayLike | Sequence[Sequence[int]], n_rows: int) -> Owned:
        """Read owners as :func:`seller_shapley` is given them, or say what is wrong with them."""
        lists = _owner_lists(owners, n_rows)
        present = np.unique(np.concatenate(lists))
        sets: dict[bytes, int] = {}
        if all(row.size == 1 for row in lists):
            groups = np.searchsorted(present, np.concatenate(lists))
            return cls(present, groups, np.arange(present.size), np.arange(present.size + 1))
        groups = np.array([sets.setdefault(row.tobytes(), len(sets)) for row in lists], dtype=np.int64)
        members = [np.searchsorted(present, np.frombuffer(key, dtype=np.int64)) for key in sets]
        pointers = np.cumsum([0, *(member.size for member in members)])
        return cls(present, groups, np.concatenate(members), pointers)

    @property
    def n_sellers(self) -> int:
        """Return M, those with rows."""
        return int(self.present.size)

    @property
    def alone(self) -> bool:
        """Whether every row has one owner."""
        return self.owners.size == self.n_sellers and bool((np.diff(self.owner_ptr) == 1).all())

    def masks(self) -> IntArray:
        """Return the owners of each group as bits."""
        return np.add.reduceat(1 << self.owners, self.owner_ptr[:-1])

    def spread(self, values: FloatArray) -> FloatArray:
        """Return values by the numbers that were given, 0 for sellers without rows."""
        whole = np.zeros(int(self.present[-1]) + 1)
        whole[self.present] = values
        return whole


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


def _quadrature(n_sellers: int) -> tuple[FloatArray, FloatArray]:
    """Return moments and weights on 0 .. 1 for a game of M sellers."""
    # M // 2 + 1 of them integrate a polynomial of degree M exactly. A product of M factors `1 - t + t z^c` is
    # bounded by `(1 + delta^2 / 2)^M` on the ellipse `rho = 1 + delta` about 0 .. 1, so that the error with G
    # of them falls as `exp(-2 G^2 / M)`: 4.5 sqrt(M) are enough for float64 when there are many sellers.
    count = min(n_sellers // 2 + 1, int(np.ceil(4.5 * np.sqrt(n_sellers))))
    x, w = np.polynomial.legendre.leggauss(count)
    return (x + 1.0) / 2.0, w / 2.0


def _add_row_games(sellers: IntArray, match: NDArray[np.bool_], k: int, total: FloatArray) -> None:
    """Add the values of sellers with one row each, nearest first (T, M)."""
    n = sellers.shape[1]
    rank = np.arange(1, n + 1)
    terms = match / np.maximum(rank * (rank - 1.0), 1.0)
    behind = np.zeros((len(match), n + 1))
    behind[:, :-1] = terms[:, ::-1].cumsum(axis=1)[:, ::-1]
    values = match / np.maximum(rank, k) - behind[:, np.minimum(np.maximum(rank, k), n)]
    total += np.bincount(sellers.ravel(), values.ravel(), minlength=total.size)


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
