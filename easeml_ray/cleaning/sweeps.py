"""Compiled sweeps along a point's shortlist: Q1, Q2, and Q2 given each alternative of each row.

Symbols
-------
k = neighbours that vote; d = k, coefficients of a polynomial truncated at degree k - 1
entry = alternatives of one row with no other row's alternative between them: one place
T, R, L = entries, rows and labels on the list; W = L - 1 labels whose votes are followed back
w_t, y_t = probability and label of entry t
a_i, b_i = probability that row i is farther, nearer than the present place; a_i + b_i = 1
G_l = prod over uncertain rows i of label l of (a_i + b_i z); kept in a product tree a label
n_l = certain rows of label l that are nearer: they shift G_l
D_t = G of y_t without the boundary's own row: the product of the siblings of its path
V[c, t] = probability that c wins if entry t is the k-th nearest, given that it is there
Q[c] = sum_t w_t V[c, t]

Q is linear in the probabilities of each row, so that Q[c | i = q] is the derivative of Q[c] by
the probability of i's alternative q. The sweep runs forward once, changing one leaf an entry,
and then backward once, as reverse-mode differentiation: all conditional probabilities of a
point cost O(T k^2 log R) and not O(T^2). Nothing is ever subtracted or divided, so that every
result is right to rounding for any prior, however skewed.

Far down a long list fewer than k nearer rows are all but impossible. For any e in 0 .. 1, the
probability of it is at most e^(1 - k) prod_i (a_i + e b_i) (Markov's inequality for e to the
number of nearer rows); where that falls below NEGLIGIBLE times the smallest prior, what is left
of the list changes no result, conditional or not, by more than NEGLIGIBLE: less than rounding.

What is possible (Q1) is counted in whole numbers over the whole list: the tallies that label l can have at a
boundary are all from the rows surely nearer to those possibly nearer.

The functions of this file call each other, and the compiler's cache knows the state of one file
only: they stay together.

References
----------
.. [1] B. Karlas et al., "Nearest Neighbor Classifiers over Incomplete Information: From
   Certain Answers to Certain Predictions", VLDB 2021: SortScan by divide and conquer.
.. [2] A. Griewank and A. Walther, "Evaluating Derivatives", 2008: the reverse mode.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from easeml_ray.embed.arrays import FloatArray, IntArray

__all__ = ["Found", "Rows", "hit_worlds", "sweep_points"]

BoolArray = NDArray[np.bool_]
SmallArray = NDArray[np.int32]

MIXED = -1
NEGLIGIBLE = 1e-18
BASE_OF_BOUND = 0.01
CERTAINTY, PROBABILITY, CONDITIONAL = 0, 1, 2


def _beside_the_source() -> bool:
    """Whether compiled code can be kept beside this file; elsewhere would be the user's home."""
    folder = os.path.dirname(os.path.abspath(__file__))
    kept = os.path.join(folder, "__pycache__")
    return os.access(kept if os.path.isdir(kept) else folder, os.W_OK)


entrance = njit(nogil=True, error_model="numpy", cache=_beside_the_source())
part = njit(nogil=True, error_model="numpy")


class Rows(NamedTuple):
    """The alternatives, M of N rows.

    Attributes
    ----------
    prior : ndarray of shape (M,)
        Present probabilities.
    row_of, labels : ndarray of int64, shape (M,)
        Row and label of each alternative.
    possible : ndarray of int64, shape (N,)
        Alternatives of positive probability of each row.
    smallest : float
        The smallest positive prior.
    """

    prior: FloatArray
    row_of: IntArray
    labels: IntArray
    possible: IntArray
    smallest: float


class Found(NamedTuple):
    """Where a sweep writes: the entries and rows of a point stand from its offset on.

    Attributes
    ----------
    n_labels, n_entries, n_rows : ndarray of int64, shape (P,)
        How many classes are possible, or -1 if a row on the list is unsure of its label and
        nothing was computed; how many entries and rows the list has.
    possible : ndarray of bool, shape (P, C)
        Q1.
    probabilities : ndarray of shape (P, C)
        Q2.
    entry_of : ndarray of int32, shape (total,)
        Entry of each list element, -1 for those that are impossible or cut off.
    entry_row : ndarray of int32, shape (total,)
        Row of each entry, by its place among the list's.
    weight : ndarray of shape (total,)
        Probability of each entry.
    inside : ndarray of shape (total, C)
        Q2 given the entry.
    row_id : ndarray of int32, shape (total,)
        Rows of the list.
    beyond : ndarray of shape (total,)
        Probability that the row is none of its entries, positive if that is possible.
    outside : ndarray of shape (total, C)
        Q2 given that; without meaning where it is impossible.
    """

    n_labels: IntArray
    n_entries: IntArray
    n_rows: IntArray
    possible: BoolArray
    probabilities: FloatArray
    entry_of: SmallArray
    entry_row: SmallArray
    weight: FloatArray
    inside: FloatArray
    row_id: SmallArray
    beyond: FloatArray
    outside: FloatArray


class Work(NamedTuple):
    """Room for one point's sweep."""

    place: IntArray  # (N,) position of a row among the list's rows, -1 elsewhere
    kept: IntArray  # (2,) entries and rows before what is left becomes negligible
    row: IntArray  # (6, R) see the constants
    total: FloatArray  # (R,) running sums
    label: IntArray  # (6, L)
    mark: IntArray  # (T,) where the entry's saved path begins
    share: FloatArray  # (2, T) a of the entry's row once the sweep has passed it, b until then
    own: FloatArray  # (T, L) V
    nodes: FloatArray  # (2 R d)
    adjoint: FloatArray  # (2 R W d)
    saved: FloatArray  # what a path held before it was changed, and D along it
    factor: FloatArray  # (L d) polynomials at the boundary
    vote: FloatArray  # (L,) V at the boundary
    slope: FloatArray  # (L L d) derivative of each label's vote by each factor
    chain: FloatArray  # (2 W d) derivatives by D along the path
    capped: FloatArray  # (2, L + 1, k + 1) products of the labels before, and from one on


# Of a row: position of its label; possible alternatives on the list; whether these are all;
# entries; entries passed; its node, -1 for a row that is a single entry and nothing else.
LABEL, SEEN, WHOLE, ENTRIES, COUNT, LEAF = range(6)
# Of a label: its class; leaves and node 0 of its tree (1 is the root); rows surely nearer;
# rows possibly nearer; the lowest tally at the boundary.
CLASS, SIZE, BASE, SURE, MAYBE, SHIFT = range(6)


@part
def _room(longest: int, n_rows: int, n_classes: int, k: int) -> Work:
    T, R, L, W = longest, min(longest, n_rows), n_classes, n_classes - 1
    depth = 1
    while 2**depth < R:
        depth += 1
    return Work(
        place=np.full(n_rows, -1),
        kept=np.empty(2, np.int64),
        row=np.empty((6, R), np.int64),
        total=np.empty(R),
        label=np.empty((6, L), np.int64),
        mark=np.empty(T, np.int64),
        share=np.empty((2, T)),
        own=np.empty((T, L)),
        nodes=np.empty(2 * R * k),
        adjoint=np.empty(2 * R * W * k),
        saved=np.empty(T * (depth + 1) * 2 * k),
        factor=np.empty(L * k),
        vote=np.empty(L),
        slope=np.empty(L * L * k),
        chain=np.empty(2 * W * k),
        capped=np.empty((2, L + 1, k + 1)),
    )


@entrance
def sweep_points(
    begin: IntArray,
    end: IntArray,
    offset: IntArray,
    elements: SmallArray,
    rows: Rows,
    k: int,
    wanted: int,
    found: Found,
) -> None:
    """Sweep along the list of each point.

    Parameters
    ----------
    begin, end : ndarray of int64, shape (P,)
        Where each point's list stands in the elements.
    offset : ndarray of int64, shape (P,)
        Where the point's entries and rows are written.
    elements : ndarray of int32
        Positions of alternatives, nearest first; beyond the list k rows are nearer for sure.
    rows : Rows
        The alternatives.
    k : int
        Neighbours that vote, odd.
    wanted : int
        0: Q1. 1: Q2 too. 2: Q2 given each entry too, of points that are not certain.
    found : Found
        Set.
    """
    longest = 1
    for p in range(len(begin)):
        longest = max(longest, end[p] - begin[p])
    n_classes = found.possible.shape[1]
    m = _room(longest, len(rows.possible), n_classes, k)
    for p in range(len(begin)):
        o = offset[p]
        n_labels = _read_list(begin[p], end[p], elements, rows, k, p, o, found, m)
        if n_labels == MIXED:
            found.n_labels[p] = MIXED
            continue
        n = _support(n_labels, k, p, o, found, m)
        found.n_labels[p] = n
        for c in range(n_classes):
            found.probabilities[p, c] = 1.0 if n == 1 and found.possible[p, c] else 0.0
        if n > 1 and wanted >= PROBABILITY:
            _cut(p, o, end[p] - begin[p], found, m)
            n_nodes = _forward(n_labels, k, p, o, found, m)
            if wanted >= CONDITIONAL:
                _backward(n_labels, n_nodes, k, p, o, found, m)


@part
def _read_list(
    begin: int, end: int, elements: SmallArray, rows: Rows, k: int, p: int, o: int, found: Found, m: Work
) -> int:
    """Cut a list where k rows are wholly passed, merge into entries; return how many labels."""
    n_entries, n_rows, n_whole, last, mixed = 0, 0, 0, -1, False
    bound, smallest = BASE_OF_BOUND ** (1 - k), NEGLIGIBLE * rows.smallest
    m.kept[0] = -1
    for at in range(begin, end):
        element = elements[at]
        weight = rows.prior[element]
        found.entry_of[o + at - begin] = -1
        if weight <= 0.0 or n_whole == k:
            continue
        row = rows.row_of[element]
        i = m.place[row]
        if i < 0:
            i = n_rows
            n_rows += 1
            m.place[row] = i
            found.row_id[o + i] = row
            m.row[LABEL, i] = rows.labels[element]
            m.row[SEEN, i] = 0
            m.row[ENTRIES, i] = 0
            m.total[i] = 0.0
        mixed = mixed or m.row[LABEL, i] != rows.labels[element]
        if last != i:
            if bound < smallest and m.kept[0] < 0:
                m.kept[0], m.kept[1] = n_entries, n_rows if m.row[SEEN, i] > 0 else n_rows - 1
            found.entry_row[o + n_entries] = i
            found.weight[o + n_entries] = 0.0
            m.row[ENTRIES, i] += 1
            n_entries += 1
            last = i
        found.entry_of[o + at - begin] = n_entries - 1
        found.weight[o + n_entries - 1] += weight
        m.row[SEEN, i] += 1
        bound /= 1.0 - (1.0 - BASE_OF_BOUND) * m.total[i]
        m.total[i] += weight
        bound *= 1.0 - (1.0 - BASE_OF_BOUND) * min(m.total[i], 1.0)
        if m.row[SEEN, i] == rows.possible[row]:
            n_whole += 1
    found.n_entries[p], found.n_rows[p] = n_entries, n_rows
    for i in range(n_rows):
        row = found.row_id[o + i]
        m.place[row] = -1
        whole = m.row[SEEN, i] == rows.possible[row]
        m.row[WHOLE, i] = 1 if whole else 0
        found.beyond[o + i] = 0.0 if whole else max(1.0 - m.total[i], 1e-300)
    return MIXED if mixed else _number_labels(n_rows, found.possible.shape[1], m)


@part
def _cut(p: int, o: int, length: int, found: Found, m: Work) -> None:
    """Leave out of a list what is negligible; its probability moves beyond the list."""
    n_entries, n_rows = m.kept[0], m.kept[1]
    if n_entries < 0:
        return
    for t in range(n_entries, found.n_entries[p]):
        i = found.entry_row[o + t]
        if i < n_rows:
            m.row[ENTRIES, i] -= 1
            m.row[WHOLE, i] = 0
            found.beyond[o + i] += found.weight[o + t]
    for at in range(o, o + length):
        if found.entry_of[at] >= n_entries:
            found.entry_of[at] = -1
    found.n_entries[p], found.n_rows[p] = n_entries, n_rows


@part
def _number_labels(n_rows: int, n_classes: int, m: Work) -> int:
    """Replace the rows' classes by their places among the classes that occur."""
    for c in range(n_classes):
        m.label[SHIFT, c] = -1
    for i in range(n_rows):
        m.label[SHIFT, m.row[LABEL, i]] = 0
    n_labels = 0
    for c in range(n_classes):
        if m.label[SHIFT, c] == 0:
            m.label[SHIFT, c] = n_labels
            m.label[CLASS, n_labels] = c
            n_labels += 1
    for i in range(n_rows):
        m.row[LABEL, i] = m.label[SHIFT, m.row[LABEL, i]]
    return n_labels


@part
def _support(n_labels: int, k: int, p: int, o: int, found: Found, m: Work) -> int:
    """Mark the classes that some world predicts; return how many."""
    n_found = 0
    for c in range(found.possible.shape[1]):
        found.possible[p, c] = False
    for l in range(n_labels):
        m.label[SURE, l] = 0
        m.label[MAYBE, l] = 0
    for i in range(found.n_rows[p]):
        m.row[COUNT, i] = 0
    for t in range(found.n_entries[p]):
        i = found.entry_row[o + t]
        y = m.row[LABEL, i]
        if m.row[COUNT, i] > 0:
            m.label[MAYBE, y] -= 1
        for l in range(n_labels):
            m.label[SHIFT, l] = m.label[SURE, l] + (1 if l == y else 0)
        for c in range(n_labels):
            if not found.possible[p, m.label[CLASS, c]] and _can_win(c, n_labels, k, m):
                found.possible[p, m.label[CLASS, c]] = True
                n_found += 1
        if n_found == n_labels:
            break
        m.row[COUNT, i] += 1
        done = m.row[COUNT, i] == m.row[ENTRIES, i] and m.row[WHOLE, i] == 1
        m.label[SURE if done else MAYBE, y] += 1
    return n_found


@part
def _can_win(c: int, n_labels: int, k: int, m: Work) -> bool:
    """Whether label c wins a vote of k for some tallies from shift to shift + maybe."""
    low = m.label[SHIFT, c]
    for tally in range(low, min(low + m.label[MAYBE, c], k) + 1):
        fewest, most = 0, 0
        for l in range(n_labels):
            if l != c:
                # The smaller label wins a tie.
                cap = tally - 1 if l < c else tally
                if m.label[SHIFT, l] > cap:
                    fewest = k + 1
                fewest += m.label[SHIFT, l]
                most += min(m.label[SHIFT, l] + m.label[MAYBE, l], cap)
        if fewest <= k - tally <= most:
            return True
    return False


@part
def _multiply(a: FloatArray, i: int, b: FloatArray, j: int, out: FloatArray, o: int, d: int) -> None:
    """Set out to a b, truncated."""
    if d == 3:
        a0, a1, b0, b1 = a[i], a[i + 1], b[j], b[j + 1]
        out[o + 2] = a0 * b[j + 2] + a1 * b1 + a[i + 2] * b0
        out[o + 1] = a0 * b1 + a1 * b0
        out[o] = a0 * b0
        return
    for s in range(d - 1, -1, -1):
        value = 0.0
        for r in range(s + 1):
            value += a[i + r] * b[j + s - r]
        out[o + s] = value


@part
def _add_adjoint(g: FloatArray, i: int, b: FloatArray, j: int, out: FloatArray, o: int, d: int) -> None:
    """Add to out the derivative of g . (a b) by a."""
    if d == 3:
        g0, g1, g2, b0 = g[i], g[i + 1], g[i + 2], b[j]
        out[o] += g0 * b0 + g1 * b[j + 1] + g2 * b[j + 2]
        out[o + 1] += g1 * b0 + g2 * b[j + 1]
        out[o + 2] += g2 * b0
        return
    for s in range(d):
        value = 0.0
        for r in range(d - s):
            value += g[i + s + r] * b[j + r]
        out[o + s] += value


@part
def _votes(n_labels: int, k: int, slopes: bool, m: Work) -> None:
    """V of all labels at a boundary from the factors and their shifts; perhaps its slopes."""
    for c in range(n_labels):
        m.vote[c] = 0.0
    if slopes:
        for at in range(n_labels * n_labels * k):
            m.slope[at] = 0.0
    if n_labels == 2:
        for tally in range(k + 1):
            i, j = tally - m.label[SHIFT, 0], k - tally - m.label[SHIFT, 1]
            if 0 <= i < k and 0 <= j < k:
                c = 0 if 2 * tally > k else 1
                m.vote[c] += m.factor[i] * m.factor[k + j]
                if slopes:
                    m.slope[2 * c * k + i] += m.factor[k + j]
                    m.slope[(2 * c + 1) * k + j] += m.factor[i]
        return
    for c in range(n_labels):
        low = m.label[SHIFT, c]
        for tally in range(max(low, 1), min(k, low + k - 1) + 1):
            _winning_tally(c, tally, n_labels, k, slopes, m)


@part
def _winning_tally(c: int, tally: int, n_labels: int, k: int, slopes: bool, m: Work) -> None:
    """Add the votes that label c wins with this tally: the others then stay at or below it."""
    rest, left, right = k - tally, m.capped[0], m.capped[1]
    for u in range(rest + 1):
        left[0, u] = 1.0 if u == 0 else 0.0
        right[n_labels, u] = left[0, u]
    for l in range(n_labels):
        _times_capped(l, c, tally, rest, left[l], left[l + 1], k, m)
    for back in range(n_labels):
        l = n_labels - 1 - back
        _times_capped(l, c, tally, rest, right[l + 1], right[l], k, m)
    mine = m.factor[c * k + tally - m.label[SHIFT, c]]
    m.vote[c] += mine * left[n_labels, rest]
    if not slopes:
        return
    m.slope[(c * n_labels + c) * k + tally - m.label[SHIFT, c]] += left[n_labels, rest]
    for l in range(n_labels):
        if l != c:
            low = m.label[SHIFT, l]
            for h in range(low, min(tally - 1 if l < c else tally, rest, low + k - 1) + 1):
                value = 0.0
                for u in range(rest - h + 1):
                    value += left[l, u] * right[l + 1, rest - h - u]
                m.slope[(c * n_labels + l) * k + h - low] += mine * value


@part
def _times_capped(
    l: int, c: int, tally: int, rest: int, source: FloatArray, target: FloatArray, k: int, m: Work
) -> None:
    """Multiply by label l's tallies that let c win with this tally; by 1 for c itself."""
    for u in range(rest + 1):
        target[u] = source[u] if l == c else 0.0
    if l != c:
        low = m.label[SHIFT, l]
        for h in range(low, min(tally - 1 if l < c else tally, rest, low + k - 1) + 1):
            for u in range(rest - h + 1):
                target[h + u] += source[u] * m.factor[l * k + h - low]


@part
def _boundary(t: int, i: int, n_labels: int, k: int, slopes: bool, m: Work) -> None:
    """Set factors and shifts at entry t of row i, and count the votes."""
    y = m.row[LABEL, i]
    for l in range(n_labels):
        m.label[SHIFT, l] = m.label[SURE, l] + (1 if l == y else 0)
        root = (m.label[BASE, l] + 1) * k
        for s in range(k):
            if m.label[SIZE, l] > 0:
                m.factor[l * k + s] = m.nodes[root + s]
            else:
                m.factor[l * k + s] = 1.0 if s == 0 else 0.0
    if m.row[LEAF, i] >= 0:
        # D stands last in what was saved of the path.
        place = m.mark[t] - k
        node = m.row[LEAF, i] - m.label[BASE, y]
        while node > 1:
            place += 2 * k
            node >>= 1
        for s in range(k):
            if place < m.mark[t]:
                m.factor[y * k + s] = 1.0 if s == 0 else 0.0
            else:
                m.factor[y * k + s] = m.saved[place + s]
    _votes(n_labels, k, slopes, m)


@part
def _forward(n_labels: int, k: int, p: int, o: int, found: Found, m: Work) -> int:
    """Sweep from the nearest entry on: V of every boundary, Q2; return the nodes used."""
    n_entries = found.n_entries[p]
    n_nodes = _plant(n_labels, k, found.n_rows[p], o, found, m)
    for back in range(n_entries):
        t = n_entries - 1 - back
        i = found.entry_row[o + t]
        if m.row[LEAF, i] < 0:
            found.weight[o + t] = 1.0
        m.share[0, t] = m.total[i]
        m.total[i] += found.weight[o + t]
    for i in range(found.n_rows[p]):
        m.total[i] = 0.0
    free = 0
    for t in range(n_entries):
        i = found.entry_row[o + t]
        m.share[1, t] = m.total[i]
        m.total[i] += found.weight[o + t]
        # The boundary depends on D and on other labels, not on the row's own leaf.
        if m.row[LEAF, i] >= 0:
            free = _climb(t, i, free, k, m)
        _boundary(t, i, n_labels, k, False, m)
        for c in range(n_labels):
            m.own[t, c] = m.vote[c]
            found.probabilities[p, m.label[CLASS, c]] += found.weight[o + t] * m.vote[c]
        if m.row[LEAF, i] < 0:
            m.label[SURE, m.row[LABEL, i]] += 1
    return n_nodes


@part
def _plant(n_labels: int, k: int, n_rows: int, o: int, found: Found, m: Work) -> int:
    """Set up a tree a label, every row farther than the first place; return the nodes used."""
    for l in range(n_labels):
        m.label[SIZE, l] = 0
        m.label[SURE, l] = 0
    for i in range(n_rows):
        single = m.row[ENTRIES, i] == 1 and m.row[WHOLE, i] == 1
        m.row[LEAF, i] = -1 if single else m.label[SIZE, m.row[LABEL, i]]
        m.label[SIZE, m.row[LABEL, i]] += 0 if single else 1
        m.total[i] = found.beyond[o + i]
    n_nodes = 0
    for l in range(n_labels):
        m.label[BASE, l] = n_nodes
        n_nodes += 2 * m.label[SIZE, l]
    for node in range(n_nodes):
        for s in range(k):
            m.nodes[node * k + s] = 1.0 if s == 0 else 0.0
    for i in range(n_rows):
        if m.row[LEAF, i] >= 0:
            m.row[LEAF, i] += m.label[BASE, m.row[LABEL, i]] + m.label[SIZE, m.row[LABEL, i]]
    return n_nodes


@part
def _climb(t: int, i: int, free: int, d: int, m: Work) -> int:
    """Pass entry t: change its row's leaf and the nodes above; save them, and D on the way."""
    base, leaf = m.label[BASE, m.row[LABEL, i]], m.row[LEAF, i]
    m.nodes[leaf * d] = m.share[0, t]
    if d > 1:
        # What is passed and what is to come sum to 1; the larger part is not needed exactly.
        m.nodes[leaf * d + 1] = m.total[i]
    m.mark[t] = free
    node = leaf - base
    while node > 1:
        at, other, above = (base + node) * d, (base + (node ^ 1)) * d, (base + (node >> 1)) * d
        for s in range(d):
            m.saved[free + s] = m.nodes[above + s]
            m.saved[free + d + s] = m.nodes[other + s]
        if free > m.mark[t]:
            _multiply(m.saved, free - d, m.nodes, other, m.saved, free + d, d)
        _multiply(m.nodes, at, m.nodes, other, m.nodes, above, d)
        free += 2 * d
        node >>= 1
    return free


@part
def _backward(n_labels: int, n_nodes: int, k: int, p: int, o: int, found: Found, m: Work) -> None:
    """Sweep back: Q2 given each entry, and given that a row is beyond the list."""
    W = n_labels - 1
    for at in range(n_nodes * W * k):
        m.adjoint[at] = 0.0
    for i in range(found.n_rows[p]):
        for w in range(W):
            found.outside[o + i, w] = 0.0
    for back in range(found.n_entries[p]):
        t = found.n_entries[p] - 1 - back
        i = found.entry_row[o + t]
        y, leaf, weight = m.row[LABEL, i], m.row[LEAF, i], found.weight[o + t]
        if leaf < 0:
            m.label[SURE, y] -= 1
        _boundary(t, i, n_labels, k, True, m)
        for l in range(n_labels):
            if m.label[SIZE, l] > 0 and (l != y or leaf < 0):
                for w in range(W):
                    root = ((m.label[BASE, l] + 1) * W + w) * k
                    for s in range(k):
                        m.adjoint[root + s] += weight * m.slope[((w + 1) * n_labels + l) * k + s]
        if leaf < 0:
            continue
        _descend(t, i, weight, n_labels, k, m)
        m.nodes[leaf * k] = m.share[0, t] + weight if m.share[1, t] > 0.0 else 1.0
        if k > 1:
            m.nodes[leaf * k + 1] = m.share[1, t]
        for w in range(W):
            # Derivatives by a and b of the row between this entry and its next.
            g = (leaf * W + w) * k
            found.inside[o + t, w] = m.adjoint[g]
            if k > 1:
                found.outside[o + i, w] += m.adjoint[g + 1]
            m.own[t, w + 1] += found.outside[o + i, w]
            for s in range(k):
                m.adjoint[g + s] = 0.0
    _uproot(n_labels, k, m)
    _gather(n_labels, k, p, o, found, m)


@part
def _descend(t: int, i: int, weight: float, n_labels: int, d: int, m: Work) -> None:
    """Undo entry t: carry derivatives from the root down to its row's leaf and beside the path."""
    W, y = n_labels - 1, m.row[LABEL, i]
    base = m.label[BASE, y]
    leaf = m.row[LEAF, i] - base
    depth = 0
    while leaf >> depth > 1:
        depth += 1
    for w in range(W):
        for s in range(d):
            m.chain[w * d + s] = weight * m.slope[((w + 1) * n_labels + y) * d + s]
    now = 0
    for up in range(depth):
        level = depth - up
        above, node = base + (leaf >> level), base + (leaf >> (level - 1))
        other = base + ((leaf >> (level - 1)) ^ 1)
        place = m.mark[t] + (level - 1) * 2 * d
        for w in range(W):
            g, beside, below = (above * W + w) * d, (other * W + w) * d, (node * W + w) * d
            _add_adjoint(m.adjoint, g, m.nodes, other * d, m.adjoint, below, d)
            _add_adjoint(m.adjoint, g, m.nodes, node * d, m.adjoint, beside, d)
            here, there = (now * W + w) * d, ((1 - now) * W + w) * d
            for s in range(d):
                # What the node held before this entry did not depend on its row's leaf.
                m.adjoint[g + s] = 0.0
                m.chain[there + s] = 0.0
                if level == 1:
                    m.adjoint[beside + s] += m.chain[here + s]
            if level > 1:
                _add_adjoint(m.chain, here, m.saved, place - d, m.adjoint, beside, d)
                _add_adjoint(m.chain, here, m.nodes, other * d, m.chain, there, d)
        now = 1 - now
        for s in range(d):
            m.nodes[above * d + s] = m.saved[place + s]


@part
def _uproot(n_labels: int, d: int, m: Work) -> None:
    """Carry what is left in the trees down to the leaves; all nodes are 1 before the first entry."""
    size = (n_labels - 1) * d
    for l in range(n_labels):
        base = m.label[BASE, l]
        for node in range(1, m.label[SIZE, l]):
            for s in range(size):
                value = m.adjoint[(base + node) * size + s]
                m.adjoint[(base + 2 * node) * size + s] += value
                m.adjoint[(base + 2 * node + 1) * size + s] += value


@part
def _gather(n_labels: int, k: int, p: int, o: int, found: Found, m: Work) -> None:
    """Add up the derivatives of each row over the places before and after each of its entries."""
    n_classes, W = found.possible.shape[1], n_labels - 1
    for i in range(found.n_rows[p]):
        leaf = m.row[LEAF, i]
        for w in range(W):
            # Before its first entry the row was farther than the place in any case.
            found.outside[o + i, w] = m.adjoint[(leaf * W + w) * k] if leaf >= 0 else 0.0
    for t in range(found.n_entries[p]):
        i = found.entry_row[o + t]
        for w in range(W):
            farther = found.inside[o + t, w]
            found.inside[o + t, w] = m.own[t, w + 1] + found.outside[o + i, w]
            found.outside[o + i, w] += farther
        _spread(found.inside[o + t], m.row[LEAF, i], n_labels, n_classes, p, found, m)
    for i in range(found.n_rows[p]):
        _spread(found.outside[o + i], m.row[LEAF, i], n_labels, n_classes, p, found, m)


@part
def _spread(given: FloatArray, leaf: int, n_labels: int, n_classes: int, p: int, found: Found, m: Work) -> None:
    """Turn the probabilities of labels 1 .. W into those of all classes."""
    if leaf < 0:
        for c in range(n_classes):
            given[c] = found.probabilities[p, c]
        return
    rest = 1.0
    for w in range(n_labels - 1):
        m.vote[w + 1] = given[w]
        rest -= given[w]
    m.vote[0] = max(rest, 0.0)
    for c in range(n_classes):
        given[c] = 0.0
    for l in range(n_labels):
        given[m.label[CLASS, l]] = m.vote[l]


@entrance
def hit_worlds(
    begin: IntArray, end: IntArray, elements: SmallArray, row_of: IntArray, labels: IntArray,
    worlds: IntArray, y: IntArray, k: int, n_classes: int, hits: BoolArray,
) -> None:  # fmt: skip
    """Say whether whole worlds predict points correctly.

    Parameters
    ----------
    begin, end, elements, k
        As for :func:`sweep_points`.
    row_of, labels : ndarray of int64, shape (M,)
        Row and label of each alternative.
    worlds : ndarray of int64, shape (n_worlds, N)
        One alternative of positive probability a row.
    y : ndarray of int64, shape (P,)
        True labels.
    n_classes : int
        Number of classes.
    hits : ndarray of bool, shape (n_worlds, P)
        Set.
    """
    votes = np.empty(n_classes, np.int64)
    for s in range(len(worlds)):
        for p in range(len(begin)):
            for c in range(n_classes):
                votes[c] = 0
            n = 0
            for at in range(begin[p], end[p]):
                element = elements[at]
                if worlds[s, row_of[element]] == element:
                    votes[labels[element]] += 1
                    n += 1
                    if n == k:
                        break
            winner = 0
            for c in range(1, n_classes):
                if votes[c] > votes[winner]:
                    winner = c
            hits[s, p] = winner == y[p]
