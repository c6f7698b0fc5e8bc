"""Compiled sweeps along a point's shortlist: Q1, Q2, and Q2 given each alternative of each row.

Symbols
-------
k = neighbours that vote; d = k, coefficients of a polynomial truncated at degree k - 1
entry = alternatives of one row with no other row's alternative between them: one place
T, R, L = entries, rows and labels on the list; W = L - 1 labels whose votes are followed back
w_t, y_t = probability and label of entry t
a_i, b_i = probability that row i is farther, nearer than the present place; a_i + b_i = 1
G_l = prod over uncertain rows i of label l of (a_i + b_i z), kept in two factors: a product tree
      for the rows with several entries, and a plain product for those with one entry, which
      change from 1 once and for all
n_l = certain rows of label l that are nearer: they shift G_l
D_t = G of y_t without the boundary's own row: in the tree, the product of its path's siblings
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

What is possible (Q1) is counted in whole numbers over the whole list: the tallies that label l
can have at a boundary are all from the rows surely nearer to those possibly nearer.

One long file on purpose: compiled code is kept for the state of the one file that the entrance
stands in. What it calls from another file could change, and the old code would still run.

References
----------
.. [1] B. Karlas et al., "Nearest Neighbor Classifiers over Incomplete Information: From
   Certain Answers to Certain Predictions", VLDB 2021: SortScan by divide and conquer.
.. [2] A. Griewank and A. Walther, "Evaluating Derivatives", 2008: the reverse mode.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.compiling import may_keep

__all__ = ["Found", "Rows", "hit_worlds", "sweep_points"]

BoolArray = NDArray[np.bool_]
SmallArray = NDArray[np.int32]

MIXED = -1
# Rows that need no leaf: one entry and nothing else; one entry, else beyond the list.
FIXED, ONCE = -1, -2
NEGLIGIBLE = 1e-18
BASE_OF_BOUND = 0.01
CERTAINTY, PROBABILITY, CONDITIONAL = 0, 1, 2


entrance = njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, cache=may_keep(__file__))
part = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


class Rows(NamedTuple):
    """The alternatives, M of N rows."""

    prior: FloatArray  # (M,), present probabilities
    row_of: IntArray  # (M,)
    labels: IntArray  # (M,)
    possible: IntArray  # (N,), alternatives of positive probability of each row
    smallest: float  # the smallest positive prior


class Found(NamedTuple):
    """Where a sweep writes: the entries and rows of a point stand from its offset on."""

    n_labels: IntArray  # (P,), possible classes; MIXED: some row is unsure of its label, nothing was computed
    n_entries: IntArray  # (P,), of the list
    n_rows: IntArray  # (P,), of the list
    possible: BoolArray  # (P, C), Q1
    probabilities: FloatArray  # (P, C), Q2
    entry_of: SmallArray  # (total,), entry of each list element, -1 for those that are impossible or cut off
    entry_row: SmallArray  # (total,), row of each entry, by its place among the list's
    weight: FloatArray  # (total,), probability of each entry
    inside: FloatArray  # (total, C), Q2 given the entry
    row_id: SmallArray  # (total,), rows of the list
    beyond: FloatArray  # (total,), probability that the row is none of its entries, positive if it can be
    outside: FloatArray  # (total, C), Q2 given that; without meaning where it is impossible


class Layout(NamedTuple):
    """Where things stand in the room for one point's sweep, by size; see the symbols.

    Whole numbers. N: place of a row among the list's rows, -1 elsewhere. T: entry_row; mark, where
    the entry's saved path begins. R: row_id, label; seen, possible alternatives on the list; full,
    whether these are all; entries; passed, how many of them; leaf, node. L: class_of; size of the
    label's tree, base, its node 0 (1 is the root); sure, maybe, rows surely and possibly nearer;
    shift, the lowest tally at the boundary.

    Numbers. T: weight; after, a of the entry's row from then on; before, b until then; own, V;
    inside, Q given the entry. R: sums; beyond, probability; outside, Q given that. Nodes and once,
    the factors of G, each with its derivatives; saved, what a path held before, and D along it.
    Factor, vote and slope, the polynomials, V and its derivatives at the boundary; chain,
    derivatives by D along the path; left and right, products of the labels before and after.
    """

    place: int
    entry_row: int
    mark: int
    row_id: int
    label: int
    seen: int
    full: int
    entries: int
    passed: int
    leaf: int
    class_of: int
    size: int
    base: int
    sure: int
    maybe: int
    shift: int
    weight: int
    after: int
    before: int
    own: int
    inside: int
    sums: int
    beyond: int
    outside: int
    nodes: int
    adjoint: int
    saved: int
    once: int
    once_adjoint: int
    factor: int
    vote: int
    slope: int
    chain: int
    left: int
    right: int


@part
def _lay_out(T: int, N: int, L: int, k: int) -> tuple[Layout, int, int]:
    """Place everything; return how many whole numbers and how many numbers there are."""
    R, W, depth = min(T, N), L - 1, 1
    while 2**depth < R:
        depth += 1
    t, r, lab = N, N + 2 * T, N + 2 * T + 7 * R
    n, e, h = 3 * T, 3 * T + T * (L + W), 3 * T + T * (L + W) + R * (2 + W)
    v = h + 2 * R * k * (1 + W) + T * (depth + 1) * 2 * k
    o = v + L * k * (1 + W)
    return (
        Layout(
            0, t, t + T, r, r + R, r + 2 * R, r + 3 * R, r + 4 * R, r + 5 * R, r + 6 * R,
            lab, lab + L, lab + 2 * L, lab + 3 * L, lab + 4 * L, lab + 5 * L,
            0, T, 2 * T, n, n + T * L, e, e + R, e + 2 * R,
            h, h + 2 * R * k, h + 2 * R * k * (1 + W), v, v + L * k,
            o, o + L * k, o + L * k + L, o + L * k + L + L * L * k,
            o + L * k + L + L * L * k + 2 * W * k,
            o + L * k + L + L * L * k + 2 * W * k + (L + 1) * (k + 1),
        ),
        lab + 6 * L,
        o + L * k + L + L * L * k + 2 * W * k + 2 * (L + 1) * (k + 1),
    )  # fmt: skip


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
    """Sweep along the list of each point, and write from its offset on.

    `begin` and `end`, (P,), are where its list stands in `elements`, nearest first; beyond it k rows are
    nearer for sure. `wanted` is 0: Q1. 1: Q2 too. 2: Q2 given each entry too, of points that are not
    certain.
    """
    # No literals here and below: every literal argument would be a form of its own to compile.
    longest = k
    for p in range(len(begin)):
        longest = max(longest, end[p] - begin[p])
    n_classes, n_rows = found.possible.shape[1], len(rows.possible)
    at, n_whole, n_real = _lay_out(longest, n_rows, n_classes, k)
    whole, real = np.empty(n_whole, np.int64), np.empty(n_real)
    for row in range(n_rows):
        whole[at.place + row] = -1
    for p in range(len(begin)):
        lists = elements[begin[p] : end[p]]
        size = _read_list(lists, rows, k, found.entry_of[offset[p] : offset[p] + len(lists)], at, whole, real)
        n_labels = _number_labels(size, n_classes, at, whole)
        if n_labels == MIXED:
            found.n_labels[p] = MIXED
            continue
        n = _support(size, n_labels, k, found.possible[p], at, whole)
        found.n_labels[p] = n
        for c in range(n_classes):
            found.probabilities[p, c] = 1.0 if n == 1 and found.possible[p, c] else 0.0
        if n > 1 and wanted >= PROBABILITY:
            kept = _cut(size, at, whole, real)
            n_nodes = _plant(kept, n_labels, k, at, whole, real)
            _forward(kept, n_labels, k, found.probabilities[p], at, whole, real)
            if wanted >= CONDITIONAL:
                _backward(kept, n_labels, n_nodes, k, at, whole, real)
                _gather(kept, n_labels, k, at, whole, real)
                found.n_entries[p], found.n_rows[p] = kept.entries, kept.rows
                _write(kept, n_labels, p, offset[p], len(lists), found, at, whole, real)


class Size(NamedTuple):
    """Of a list: entries, rows, and as many of both as come before what is negligible."""

    entries: int
    rows: int
    kept_entries: int
    kept_rows: int
    mixed: bool


@part
def _read_list(
    elements: SmallArray,
    rows: Rows,
    k: int,
    entry_of: SmallArray,
    at: Layout,
    whole: IntArray,
    real: FloatArray,
) -> Size:
    """Cut a list where k rows are wholly passed, and merge into entries."""
    n_entries, n_rows, n_full, last, mixed = 0, 0, 0, -1, False
    kept_entries, kept_rows = -1, -1
    bound, smallest = BASE_OF_BOUND ** (1 - k), NEGLIGIBLE * rows.smallest
    for place in range(len(elements)):
        element = elements[place]
        weight = rows.prior[element]
        entry_of[place] = -1
        if weight <= 0.0 or n_full == k:
            continue
        row = rows.row_of[element]
        i = whole[at.place + row]
        if i < 0:
            i = n_rows
            whole[at.place + row] = i
            whole[at.row_id + i] = row
            whole[at.label + i] = rows.labels[element]
            whole[at.seen + i] = 0
            whole[at.entries + i] = 0
            real[at.sums + i] = 0.0
        mixed = mixed or whole[at.label + i] != rows.labels[element]
        if last != i:
            if bound < smallest and kept_entries < 0:
                kept_entries, kept_rows = n_entries, n_rows
            whole[at.entry_row + n_entries] = i
            real[at.weight + n_entries] = 0.0
            whole[at.entries + i] += 1
            n_entries += 1
            last = i
        n_rows = max(n_rows, i + 1)
        entry_of[place] = n_entries - 1
        real[at.weight + n_entries - 1] += weight
        whole[at.seen + i] += 1
        bound /= 1.0 - (1.0 - BASE_OF_BOUND) * min(real[at.sums + i], 1.0)
        real[at.sums + i] += weight
        bound *= 1.0 - (1.0 - BASE_OF_BOUND) * min(real[at.sums + i], 1.0)
        if whole[at.seen + i] == rows.possible[row]:
            n_full += 1
    for i in range(n_rows):
        row = whole[at.row_id + i]
        whole[at.place + row] = -1
        full = whole[at.seen + i] == rows.possible[row]
        whole[at.full + i] = 1 if full else 0
        real[at.beyond + i] = 0.0 if full else max(1.0 - real[at.sums + i], 1e-300)
    if kept_entries < 0:
        kept_entries, kept_rows = n_entries, n_rows
    return Size(n_entries, n_rows, kept_entries, kept_rows, mixed)


@part
def _cut(size: Size, at: Layout, whole: IntArray, real: FloatArray) -> Size:
    """Leave out of a list what is negligible; its probability moves beyond the list."""
    for t in range(size.kept_entries, size.entries):
        i = whole[at.entry_row + t]
        if i < size.kept_rows:
            whole[at.entries + i] -= 1
            whole[at.full + i] = 0
            real[at.beyond + i] += real[at.weight + t]
    return Size(size.kept_entries, size.kept_rows, size.kept_entries, size.kept_rows, False)


@part
def _number_labels(size: Size, n_classes: int, at: Layout, whole: IntArray) -> int:
    """Replace the rows' classes by their places among the classes that occur."""
    if size.mixed:
        return MIXED
    for c in range(n_classes):
        whole[at.shift + c] = -1
    for i in range(size.rows):
        whole[at.shift + whole[at.label + i]] = 0
    n_labels = 0
    for c in range(n_classes):
        if whole[at.shift + c] == 0:
            whole[at.shift + c] = n_labels
            whole[at.class_of + n_labels] = c
            n_labels += 1
    for i in range(size.rows):
        whole[at.label + i] = whole[at.shift + whole[at.label + i]]
    return n_labels


@part
def _support(size: Size, n_labels: int, k: int, possible: BoolArray, at: Layout, whole: IntArray) -> int:
    """Mark the classes that some world predicts; return how many."""
    n_found = 0
    for c in range(len(possible)):
        possible[c] = False
    for lab in range(n_labels):
        whole[at.sure + lab] = 0
        whole[at.maybe + lab] = 0
    for i in range(size.rows):
        whole[at.passed + i] = 0
    for t in range(size.entries):
        i = whole[at.entry_row + t]
        y = whole[at.label + i]
        if whole[at.passed + i] > 0:
            whole[at.maybe + y] -= 1
        for lab in range(n_labels):
            whole[at.shift + lab] = whole[at.sure + lab] + (1 if lab == y else 0)
        for c in range(n_labels):
            if not possible[whole[at.class_of + c]] and _can_win(c, n_labels, k, at, whole):
                possible[whole[at.class_of + c]] = True
                n_found += 1
        if n_found == n_labels:
            break
        whole[at.passed + i] += 1
        done = whole[at.passed + i] == whole[at.entries + i] and whole[at.full + i] == 1
        if done:
            whole[at.sure + y] += 1
        else:
            whole[at.maybe + y] += 1
    return n_found


@part
def _can_win(c: int, n_labels: int, k: int, at: Layout, whole: IntArray) -> bool:
    """Whether label c wins a vote of k for some tallies from shift to shift + maybe."""
    low = whole[at.shift + c]
    for tally in range(low, min(low + whole[at.maybe + c], k) + 1):
        fewest, most = 0, 0
        for lab in range(n_labels):
            if lab != c:
                # The smaller label wins a tie.
                cap = tally - 1 if lab < c else tally
                if whole[at.shift + lab] > cap:
                    fewest = k + 1
                fewest += whole[at.shift + lab]
                most += min(whole[at.shift + lab] + whole[at.maybe + lab], cap)
        if fewest <= k - tally <= most:
            return True
    return False


@part
def _multiply(real: FloatArray, a: int, b: int, out: int, d: int) -> None:
    """Set the polynomial at `out` to a b, truncated."""
    if d == 3:
        a0, a1, b0, b1 = real[a], real[a + 1], real[b], real[b + 1]
        high = a0 * real[b + 2] + a1 * b1 + real[a + 2] * b0
        real[out] = a0 * b0
        real[out + 1] = a0 * b1 + a1 * b0
        real[out + 2] = high
        return
    for back in range(d):
        s = d - 1 - back
        value = 0.0
        for r in range(s + 1):
            value += real[a + r] * real[b + s - r]
        real[out + s] = value


@part
def _add_adjoint(real: FloatArray, g: int, b: int, out: int, d: int) -> None:
    """Add to `out` the derivative of g . (a b) by a."""
    if d == 3:
        g0, g1, g2 = real[g], real[g + 1], real[g + 2]
        b0, b1, b2 = real[b], real[b + 1], real[b + 2]
        real[out] += g0 * b0 + g1 * b1 + g2 * b2
        real[out + 1] += g1 * b0 + g2 * b1
        real[out + 2] += g2 * b0
        return
    for s in range(d):
        value = 0.0
        for r in range(d - s):
            value += real[g + s + r] * real[b + r]
        real[out + s] += value


@part
def _boundary(
    t: int, i: int, n_labels: int, k: int, slopes: bool, at: Layout, whole: IntArray, real: FloatArray
) -> None:
    """Set factors and shifts at entry t of row i, and count the votes: V, perhaps its slopes."""
    y, leaf = whole[at.label + i], whole[at.leaf + i]
    for lab in range(n_labels):
        whole[at.shift + lab] = whole[at.sure + lab] + (1 if lab == y else 0)
        if lab != y or leaf < 0:
            if whole[at.size + lab] > 0:
                root = at.nodes + (whole[at.base + lab] + 1) * k
                _multiply(real, root, at.once + lab * k, at.factor + lab * k, k)
            else:
                for s in range(k):
                    real[at.factor + lab * k + s] = real[at.once + lab * k + s]
    if leaf >= 0:
        # D stands last in what was saved of the path; without a path it is 1.
        first = at.saved + whole[at.mark + t]
        place = first - k
        node = leaf - whole[at.base + y]
        while node > 1:
            place += 2 * k
            node >>= 1
        if place < first:
            for s in range(k):
                real[at.factor + y * k + s] = real[at.once + y * k + s]
        else:
            _multiply(real, place, at.once + y * k, at.factor + y * k, k)
    for c in range(n_labels):
        real[at.vote + c] = 0.0
    if slopes:
        for place in range(at.slope, at.slope + n_labels * n_labels * k):
            real[place] = 0.0
    if n_labels == 2:
        _votes_of_two(k, slopes, at, whole, real)
    else:
        for c in range(n_labels):
            low = whole[at.shift + c]
            for tally in range(max(low, 1), min(k, low + k - 1) + 1):
                _winning_tally(c, tally, n_labels, k, slopes, at, whole, real)


@part
def _votes_of_two(k: int, slopes: bool, at: Layout, whole: IntArray, real: FloatArray) -> None:
    """Count the votes of two labels: the one with most of an odd number wins."""
    for tally in range(k + 1):
        i, j = tally - whole[at.shift], k - tally - whole[at.shift + 1]
        if 0 <= i < k and 0 <= j < k:
            c = 0 if 2 * tally > k else 1
            mine, other = real[at.factor + i], real[at.factor + k + j]
            real[at.vote + c] += mine * other
            if slopes:
                real[at.slope + 2 * c * k + i] += other
                real[at.slope + (2 * c + 1) * k + j] += mine


@part
def _winning_tally(
    c: int, tally: int, n_labels: int, k: int, slopes: bool, at: Layout, whole: IntArray, real: FloatArray
) -> None:
    """Add the votes that label c wins with this tally: the others then stay at or below it."""
    rest, width = k - tally, k + 1
    last_left, last_right = at.left + n_labels * width, at.right + n_labels * width
    for u in range(rest + 1):
        real[at.left + u] = 1.0 if u == 0 else 0.0
        real[last_right + u] = 1.0 if u == 0 else 0.0
    for lab in range(n_labels):
        source = at.left + lab * width
        _times_capped(lab, c, tally, rest, source, source + width, k, at, whole, real)
    for back in range(n_labels):
        target = at.right + (n_labels - 1 - back) * width
        _times_capped(n_labels - 1 - back, c, tally, rest, target + width, target, k, at, whole, real)
    place = tally - whole[at.shift + c]
    mine, others = real[at.factor + c * k + place], real[last_left + rest]
    real[at.vote + c] += mine * others
    if not slopes:
        return
    real[at.slope + (c * n_labels + c) * k + place] += others
    for lab in range(n_labels):
        if lab != c:
            low = whole[at.shift + lab]
            for h in range(low, min(tally - 1 if lab < c else tally, rest, low + k - 1) + 1):
                value = 0.0
                for u in range(rest - h + 1):
                    value += (
                        real[at.left + lab * width + u] * real[at.right + (lab + 1) * width + rest - h - u]
                    )
                real[at.slope + (c * n_labels + lab) * k + h - low] += mine * value


@part
def _times_capped(
    lab: int,
    c: int,
    tally: int,
    rest: int,
    source: int,
    target: int,
    k: int,
    at: Layout,
    whole: IntArray,
    real: FloatArray,
) -> None:
    """Multiply by a label's tallies that let c win with this tally; by 1 for c itself."""
    for u in range(rest + 1):
        real[target + u] = real[source + u] if lab == c else 0.0
    if lab != c:
        low = whole[at.shift + lab]
        for h in range(low, min(tally - 1 if lab < c else tally, rest, low + k - 1) + 1):
            for u in range(rest - h + 1):
                real[target + h + u] += real[source + u] * real[at.factor + lab * k + h - low]


@part
def _plant(size: Size, n_labels: int, k: int, at: Layout, whole: IntArray, real: FloatArray) -> int:
    """Set up a tree a label, every row farther than the first place; return the nodes used."""
    for lab in range(n_labels):
        whole[at.size + lab] = 0
        whole[at.sure + lab] = 0
        for s in range(k):
            real[at.once + lab * k + s] = 1.0 if s == 0 else 0.0
    for i in range(size.rows):
        if whole[at.entries + i] == 1:
            whole[at.leaf + i] = FIXED if whole[at.full + i] == 1 else ONCE
        else:
            whole[at.leaf + i] = whole[at.size + whole[at.label + i]]
            whole[at.size + whole[at.label + i]] += 1
        real[at.sums + i] = real[at.beyond + i]
    n_nodes = 0
    for lab in range(n_labels):
        whole[at.base + lab] = n_nodes
        n_nodes += 2 * whole[at.size + lab]
    for node in range(n_nodes):
        for s in range(k):
            real[at.nodes + node * k + s] = 1.0 if s == 0 else 0.0
    for i in range(size.rows):
        if whole[at.leaf + i] >= 0:
            y = whole[at.label + i]
            whole[at.leaf + i] += whole[at.base + y] + whole[at.size + y]
    for back in range(size.entries):
        t = size.entries - 1 - back
        i = whole[at.entry_row + t]
        if whole[at.leaf + i] == FIXED:
            real[at.weight + t] = 1.0
        real[at.after + t] = real[at.sums + i]
        real[at.sums + i] += real[at.weight + t]
    return n_nodes


@part
def _forward(
    size: Size, n_labels: int, k: int, result: FloatArray, at: Layout, whole: IntArray, real: FloatArray
) -> None:
    """Sweep from the nearest entry on: V of every boundary, Q by class."""
    for i in range(size.rows):
        real[at.sums + i] = 0.0
    free, slopes = size.entries - size.entries, k < 0
    for t in range(size.entries):
        i = whole[at.entry_row + t]
        y, leaf = whole[at.label + i], whole[at.leaf + i]
        real[at.before + t] = real[at.sums + i]
        real[at.sums + i] += real[at.weight + t]
        whole[at.mark + t] = free
        # The boundary depends on D and on other labels, not on the row's own leaf.
        if leaf >= 0:
            free = _climb(t, y, leaf, real[at.sums + i], free, k, at, whole, real)
        _boundary(t, i, n_labels, k, slopes, at, whole, real)
        for c in range(n_labels):
            real[at.own + t * n_labels + c] = real[at.vote + c]
            result[whole[at.class_of + c]] += real[at.weight + t] * real[at.vote + c]
        if leaf == FIXED:
            whole[at.sure + y] += 1
        elif leaf == ONCE:
            saved, once = at.saved + free, at.once + y * k
            for s in range(k):
                real[saved + s] = real[once + s]
            for s in range(k):
                nearer = real[at.weight + t] * real[saved + s - 1] if s > 0 else 0.0
                real[once + s] = real[at.after + t] * real[saved + s] + nearer
            free += k


@part
def _climb(
    t: int, y: int, leaf: int, nearer: float, free: int, d: int, at: Layout, whole: IntArray, real: FloatArray
) -> int:
    """Pass entry t: change its row's leaf and the nodes above; save them, and D on the way."""
    nodes = at.nodes + whole[at.base + y] * d
    node = leaf - whole[at.base + y]
    real[nodes + node * d] = real[at.after + t]
    if d > 1:
        real[nodes + node * d + 1] = nearer
    first = free
    while node > 1:
        other, above, saved = nodes + (node ^ 1) * d, nodes + (node >> 1) * d, at.saved + free
        for s in range(d):
            real[saved + s] = real[above + s]
            real[saved + d + s] = real[other + s]
        if free > first:
            _multiply(real, saved - d, other, saved + d, d)
        _multiply(real, nodes + node * d, other, above, d)
        free += 2 * d
        node >>= 1
    return free


@part
def _backward(
    size: Size, n_labels: int, n_nodes: int, k: int, at: Layout, whole: IntArray, real: FloatArray
) -> None:
    """Sweep back, collecting derivatives by label 1 .. W: those by each row's a and b at each entry."""
    W = n_labels - 1
    for place in range(at.adjoint, at.adjoint + n_nodes * W * k):
        real[place] = 0.0
    for place in range(at.once_adjoint, at.once_adjoint + n_labels * W * k):
        real[place] = 0.0
    _before_once(size, n_labels, at, whole, real)
    for back in range(size.entries):
        t = size.entries - 1 - back
        i = whole[at.entry_row + t]
        y, leaf = whole[at.label + i], whole[at.leaf + i]
        if leaf == FIXED:
            whole[at.sure + y] -= 1
        elif leaf == ONCE:
            _undo_once(t, i, y, n_labels, k, at, whole, real)
        _boundary(t, i, n_labels, k, k > 0, at, whole, real)
        for place in range(at.slope, at.slope + n_labels * n_labels * k):
            real[place] *= real[at.weight + t]
        for lab in range(n_labels):
            if lab != y or leaf < 0:
                _add_slope(lab, n_labels, k, at, whole, real)
        if leaf >= 0:
            _descend(t, y, leaf, n_labels, k, at, whole, real)
            nodes = at.nodes + leaf * k
            real[nodes] = real[at.after + t] + real[at.weight + t] if real[at.before + t] > 0.0 else 1.0
            if k > 1:
                real[nodes + 1] = real[at.before + t]
            for w in range(W):
                g, outside = at.adjoint + (leaf * W + w) * k, at.outside + i * W + w
                real[at.inside + t * W + w] = real[g]
                if k > 1:
                    real[outside] += real[g + 1]
                real[at.own + t * n_labels + w + 1] += real[outside]
                for s in range(k):
                    real[g + s] = 0.0


@part
def _before_once(size: Size, n_labels: int, at: Layout, whole: IntArray, real: FloatArray) -> None:
    """Set what follows from the places before a row's only entry; nothing yet for other rows."""
    W = n_labels - 1
    for place in range(at.outside, at.outside + size.rows * W):
        real[place] = 0.0
    for w in range(W):
        real[at.chain + w] = 0.0
    for t in range(size.entries):
        i = whole[at.entry_row + t]
        for w in range(W):
            if whole[at.leaf + i] == ONCE:
                real[at.outside + i * W + w] = real[at.chain + w]
            real[at.chain + w] += real[at.weight + t] * real[at.own + t * n_labels + w + 1]


@part
def _undo_once(
    t: int, i: int, y: int, n_labels: int, d: int, at: Layout, whole: IntArray, real: FloatArray
) -> None:
    """Take a row of one entry out of its product: Q given the entry and given the rest of it."""
    W, once, saved = n_labels - 1, at.once + y * d, at.saved + whole[at.mark + t]
    for s in range(d):
        real[once + s] = real[saved + s]
    for w in range(W):
        g, by_a, by_b = at.once_adjoint + (y * W + w) * d, 0.0, 0.0
        for s in range(d):
            above = real[g + s + 1] if s + 1 < d else 0.0
            by_a += real[g + s] * real[once + s]
            by_b += above * real[once + s]
            real[g + s] = real[at.after + t] * real[g + s] + real[at.weight + t] * above
        outside = at.outside + i * W + w
        real[at.inside + t * W + w] = real[at.own + t * n_labels + w + 1] + real[outside] + by_b
        real[outside] += by_a


@part
def _add_slope(lab: int, n_labels: int, d: int, at: Layout, whole: IntArray, real: FloatArray) -> None:
    """Pass the derivative by a label's factor on to its tree and to its plain product."""
    W, once, root = n_labels - 1, at.once + lab * d, whole[at.base + lab] + 1
    for w in range(W):
        slope = at.slope + ((w + 1) * n_labels + lab) * d
        g = at.once_adjoint + (lab * W + w) * d
        if whole[at.size + lab] > 0:
            _add_adjoint(real, slope, once, at.adjoint + (root * W + w) * d, d)
            _add_adjoint(real, slope, at.nodes + root * d, g, d)
        else:
            for s in range(d):
                real[g + s] += real[slope + s]


@part
def _descend(
    t: int, y: int, leaf: int, n_labels: int, d: int, at: Layout, whole: IntArray, real: FloatArray
) -> None:
    """Undo entry t: carry derivatives from the root down to its row's leaf and beside the path."""
    W, base, saved = n_labels - 1, whole[at.base + y], at.saved + whole[at.mark + t]
    depth = 0
    while (leaf - base) >> depth > 1:
        depth += 1
    for w in range(W):
        slope, chain = at.slope + ((w + 1) * n_labels + y) * d, at.chain + w * d
        g = at.once_adjoint + (y * W + w) * d
        for s in range(d):
            real[chain + s] = 0.0
            if depth == 0:
                real[g + s] += real[slope + s]
        if depth > 0:
            _add_adjoint(real, slope, at.once + y * d, chain, d)
            _add_adjoint(real, slope, saved + depth * 2 * d - d, g, d)
    now = 0
    for up in range(depth):
        level = depth - up
        above, node = base + ((leaf - base) >> level), base + ((leaf - base) >> (level - 1))
        other = base + (((leaf - base) >> (level - 1)) ^ 1)
        place = saved + (level - 1) * 2 * d
        for w in range(W):
            g, beside = at.adjoint + (above * W + w) * d, at.adjoint + (other * W + w) * d
            _add_adjoint(real, g, at.nodes + other * d, at.adjoint + (node * W + w) * d, d)
            _add_adjoint(real, g, at.nodes + node * d, beside, d)
            here, there = at.chain + (now * W + w) * d, at.chain + ((1 - now) * W + w) * d
            for s in range(d):
                # What the node held before this entry did not depend on its row's leaf.
                real[g + s] = 0.0
                real[there + s] = 0.0
                if level == 1:
                    real[beside + s] += real[here + s]
            if level > 1:
                _add_adjoint(real, here, place - d, beside, d)
                _add_adjoint(real, here, at.nodes + other * d, there, d)
        now = 1 - now
        for s in range(d):
            real[at.nodes + above * d + s] = real[place + s]


@part
def _gather(size: Size, n_labels: int, k: int, at: Layout, whole: IntArray, real: FloatArray) -> None:
    """Add up the derivatives of each row over the places before and after each of its entries."""
    W = n_labels - 1
    for lab in range(n_labels):
        # All nodes are 1 before the first entry: what is left goes down unchanged.
        tree = at.adjoint + whole[at.base + lab] * W * k
        for node in range(1, whole[at.size + lab]):
            for s in range(W * k):
                value = real[tree + node * W * k + s]
                real[tree + 2 * node * W * k + s] += value
                real[tree + (2 * node + 1) * W * k + s] += value
    for i in range(size.rows):
        if whole[at.leaf + i] >= 0:
            for w in range(W):
                # Before its first entry the row was farther than the place in any case.
                real[at.outside + i * W + w] = real[at.adjoint + (whole[at.leaf + i] * W + w) * k]
    for t in range(size.entries):
        i = whole[at.entry_row + t]
        if whole[at.leaf + i] >= 0:
            for w in range(W):
                inside, outside = at.inside + t * W + w, at.outside + i * W + w
                farther = real[inside]
                real[inside] = real[at.own + t * n_labels + w + 1] + real[outside]
                real[outside] += farther


@part
def _write(
    size: Size,
    n_labels: int,
    p: int,
    o: int,
    length: int,
    found: Found,
    at: Layout,
    whole: IntArray,
    real: FloatArray,
) -> None:
    """Hand over a point's entries and rows; the first label has what the others leave to 1."""
    W, n_classes = n_labels - 1, found.possible.shape[1]
    for place in range(o, o + length):
        if found.entry_of[place] >= size.entries:
            found.entry_of[place] = -1
    for part_ in range(2):
        n, given, source = size.rows, found.outside, at.outside
        if part_ == 0:
            n, given, source = size.entries, found.inside, at.inside
        for j in range(n):
            i = whole[at.entry_row + j] if part_ == 0 else j
            rest = 1.0
            for c in range(n_classes):
                given[o + j, c] = found.probabilities[p, c] if whole[at.leaf + i] == FIXED else 0.0
            if whole[at.leaf + i] != FIXED:
                for w in range(W):
                    value = real[source + j * W + w]
                    rest -= value
                    given[o + j, whole[at.class_of + w + 1]] = value
                given[o + j, whole[at.class_of]] = max(rest, 0.0)
    for t in range(size.entries):
        found.entry_row[o + t] = whole[at.entry_row + t]
        found.weight[o + t] = real[at.weight + t]
    for i in range(size.rows):
        found.row_id[o + i] = whole[at.row_id + i]
        found.beyond[o + i] = real[at.beyond + i]


@entrance
def hit_worlds(
    begin: IntArray, end: IntArray, elements: SmallArray, row_of: IntArray, labels: IntArray,
    worlds: IntArray, y: IntArray, k: int, n_classes: int, hits: BoolArray,
) -> None:  # fmt: skip
    """Say whether whole worlds, (n_worlds, N), predict points correctly, (n_worlds, P)."""
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
