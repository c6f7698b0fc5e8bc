"""What each development point says: certainty, predictions, and both given each alternative.

Symbols
-------
N, M, C = rows, alternatives, classes
P = points asked for
Q_v = probabilities of the labels that point v is predicted (Q2)
H = entropy in bits
p_ij = probability that row i is its alternative j
information_i = sum_v (H(Q_v) - sum_j p_ij H(Q_v | i = j))

Points whose rows are sure of their labels are swept by compiled code; where labels of one row
differ, votes are counted jointly (boundaries.py). Sums over points add up over shards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.cleaning.boundaries import conditional_votes, vote_probabilities, vote_support
from easeml_ray.cleaning.ranking import RankedPoints
from easeml_ray.cleaning.shortlists import Shortlist, shortlist

if TYPE_CHECKING:
    from easeml_ray.cleaning.sweeps import Found

__all__ = [
    "CERTAINTY",
    "CONDITIONAL",
    "PROBABILITY",
    "Swept",
    "entropy",
    "information",
    "listed",
    "outcomes",
    "possible_alternatives",
    "row_information",
    "slots",
    "sweep",
    "world_hits",
]

CERTAINTY, PROBABILITY, CONDITIONAL = 0, 1, 2
# List elements that are swept before their results are read: some hundred bytes each.
CHUNK = 400_000


@dataclass(frozen=True, slots=True)
class Swept:
    """Some points and what was found."""

    points: IntArray  # (P,)
    offset: IntArray  # (P,), where each point's entries and rows stand in `found`
    found: Found


def possible_alternatives(prior: FloatArray, row_ptr: IntArray) -> IntArray:
    """Count the alternatives of positive probability of each row, (N,)."""
    return np.add.reduceat((prior > 0).astype(np.int64), row_ptr[:-1])


def entropy(probabilities: FloatArray, axis: int = -1) -> FloatArray:
    """Entropy of distributions along the axis that sums to 1, bits."""
    positive = np.maximum(probabilities, np.finfo(np.float64).tiny)
    return np.asarray(-(positive * np.log2(positive)).sum(axis=axis))


def sweep(ranked: RankedPoints, prior: FloatArray, points: IntArray, wanted: int) -> Iterator[Swept]:
    """Ask Q1, Q2 and perhaps Q2 given each alternative of some points, chunk by chunk."""
    # `wanted` is `CERTAINTY`, `PROBABILITY` or `CONDITIONAL`; entries are there only if conditional. The
    # prior is 0 where that of the lists was.
    from easeml_ray.cleaning.sweeps import Rows, sweep_points

    possible = possible_alternatives(prior, ranked.rows.row_ptr)
    rows = Rows(
        prior=_read_only(prior),
        row_of=_read_only(ranked.rows.row_of),
        labels=_read_only(ranked.rows.labels),
        possible=_read_only(possible),
        smallest=float(prior[prior > 0].min()),
    )
    elements = _read_only(ranked.elements)
    sizes = np.diff(ranked.start)[points]
    chunk_of = np.cumsum(sizes) // CHUNK
    for chunk in np.unique(chunk_of):
        some = points[chunk_of == chunk]
        begin, end = ranked.start[some], ranked.start[some + 1]
        offset = np.zeros(len(some), dtype=np.int64)
        if wanted == CONDITIONAL:
            offset[1:] = np.cumsum(end - begin)[:-1]
        total = int((end - begin).sum() if wanted == CONDITIONAL else (end - begin).max())
        found = _room(len(some), total, ranked.rows.n_classes, wanted)
        sweep_points(begin, end, offset, elements, rows, ranked.k, wanted, found)
        for place in np.flatnonzero(found.n_labels < 0):
            nearest = shortlist(ranked.rows, prior, ranked.nearest(some[place]), ranked.k)
            _count_jointly(nearest, ranked, int(place), int(offset[place]), int(some[place]), wanted, found)
        yield Swept(some, offset, found)


def _room(n_points: int, total: int, n_classes: int, wanted: int) -> Found:
    from easeml_ray.cleaning.sweeps import Found

    given = total if wanted == CONDITIONAL else 0
    return Found(
        n_labels=np.zeros(n_points, dtype=np.int64),
        n_entries=np.zeros(n_points, dtype=np.int64),
        n_rows=np.zeros(n_points, dtype=np.int64),
        possible=np.zeros((n_points, n_classes), dtype=np.bool_),
        probabilities=np.zeros((n_points, n_classes)),
        entry_of=np.zeros(total, dtype=np.int32),
        entry_row=np.zeros(total, dtype=np.int32),
        weight=np.zeros(total),
        inside=np.zeros((given, n_classes)),
        row_id=np.zeros(total, dtype=np.int32),
        beyond=np.zeros(total),
        outside=np.zeros((given, n_classes)),
    )


def _count_jointly(
    nearest: Shortlist, ranked: RankedPoints, place: int, o: int, v: int, wanted: int, found: Found
) -> None:
    """Fill in a point with rows that are unsure of their label: every element is an entry."""
    possible = vote_support(nearest, ranked.k)
    found.n_labels[place] = possible.sum()
    found.possible[place] = False
    found.possible[place, nearest.labels] = possible
    found.probabilities[place] = found.possible[place]
    if found.n_labels[place] == 1 or wanted == CERTAINTY:
        return
    if wanted == PROBABILITY:
        found.probabilities[place, nearest.labels] = vote_probabilities(nearest, ranked.k)
        return
    votes = conditional_votes(nearest, ranked.k)
    found.probabilities[place, nearest.labels] = votes.base
    n_entries, n_rows = len(nearest.elements), len(nearest.rows)
    found.n_entries[place], found.n_rows[place] = n_entries, n_rows
    elements = ranked.nearest(v)
    at = np.full(ranked.rows.row_ptr[-1], -1)
    at[nearest.elements] = np.arange(n_entries)
    found.entry_of[o : o + len(elements)] = at[elements]
    found.entry_row[o : o + n_entries] = nearest.row
    found.weight[o : o + n_entries] = nearest.weight
    found.inside[o : o + n_entries, nearest.labels] = votes.inside.T
    found.row_id[o : o + n_rows] = nearest.rows
    found.beyond[o : o + n_rows] = nearest.beyond
    found.outside[o : o + n_rows, nearest.labels] = votes.outside.T


def row_information(swept: Swept) -> tuple[IntArray, IntArray, FloatArray]:
    """Return place of the point (ascending), row and bits, never negative, for each row on a list."""
    found, open_ = swept.found, swept.found.n_labels > 1
    n_entries, n_rows = np.where(open_, found.n_entries, 0), np.where(open_, found.n_rows, 0)
    entry, _ = slots(swept.offset, n_entries)
    slot, place = slots(swept.offset, n_rows)
    first = np.concatenate([[0], np.cumsum(n_rows)])[:-1]
    row_of_entry = np.repeat(first, n_entries) + found.entry_row[entry]
    inside = np.bincount(
        row_of_entry, found.weight[entry] * entropy(found.inside[entry]), minlength=len(slot)
    )
    left = inside + found.beyond[slot] * entropy(found.outside[slot])
    bits = np.maximum(entropy(found.probabilities)[place] - left, 0.0)
    return place, found.row_id[slot].astype(np.int64), bits


def information(ranked: RankedPoints, prior: FloatArray, points: IntArray) -> FloatArray:
    """Return what each row tells of some points, (N,): bits, summed over them; those of shards add up."""
    total = np.zeros(ranked.rows.n_rows)
    for swept in sweep(ranked, prior, points, CONDITIONAL):
        _, row, bits = row_information(swept)
        total += np.bincount(row, bits, minlength=len(total))
    return total


def outcomes(ranked: RankedPoints, prior: FloatArray, points: IntArray) -> FloatArray:
    """Return the expected number of hits given each alternative, (M,); NaN for impossible ones."""
    total, by_row, by_alternative = 0.0, np.zeros(ranked.rows.n_rows), np.zeros(len(prior))
    for swept in sweep(ranked, prior, points, CONDITIONAL):
        found, y = swept.found, ranked.y[swept.points]
        base = found.probabilities[np.arange(len(y)), y]
        total += float(base.sum())
        open_ = found.n_labels > 1
        slot, place = slots(swept.offset, np.where(open_, found.n_rows, 0))
        outside = found.outside[slot, y[place]]
        # Where a row cannot be beyond its list, what would follow from that is not defined.
        change = np.where(found.beyond[slot] > 0, outside - base[place], 0.0)
        by_row += np.bincount(found.row_id[slot], change, minlength=len(by_row))
        element, entry, place = listed(ranked, swept)
        row_at = swept.offset[place] + found.entry_row[entry]
        rest = np.where(found.beyond[row_at] > 0, found.outside[row_at, y[place]], base[place])
        by_alternative += np.bincount(element, found.inside[entry, y[place]] - rest, minlength=len(prior))
    return np.where(prior > 0, total + by_row[ranked.rows.row_of] + by_alternative, np.nan)


def listed(ranked: RankedPoints, swept: Swept) -> tuple[IntArray, IntArray, IntArray]:
    """Return element, entry and place of the point for each element that counts on an open point's list."""
    sizes = np.where(swept.found.n_labels > 1, np.diff(ranked.start)[swept.points], 0)
    at, place = slots(swept.offset, sizes)
    element = ranked.elements[slots(ranked.start[swept.points], sizes)[0]]
    kept = swept.found.entry_of[at] >= 0
    entry = swept.offset[place] + swept.found.entry_of[at]
    return element[kept].astype(np.int64), entry[kept].astype(np.int64), place[kept]


def world_hits(ranked: RankedPoints, worlds: IntArray, points: IntArray) -> NDArray[np.bool_]:
    """Whether worlds, (n_worlds, N) positions of alternatives, predict points correctly, (n_worlds, P)."""
    from easeml_ray.cleaning.sweeps import hit_worlds

    hits = np.zeros((len(worlds), len(points)), dtype=np.bool_)
    rows = ranked.rows
    begin, end = ranked.start[points], ranked.start[points + 1]
    hit_worlds(
        begin,
        end,
        _read_only(ranked.elements),
        _read_only(rows.row_of),
        _read_only(rows.labels),
        _read_only(worlds),
        ranked.y[points],
        ranked.k,
        rows.n_classes,
        hits,
    )
    return hits


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """View an array as what the object store of another process would give: one form to compile for."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def slots(begin: IntArray, sizes: IntArray) -> tuple[IntArray, IntArray]:
    """List the positions of ragged parts, and the part that each is of."""
    place = np.repeat(np.arange(len(sizes)), sizes)
    first = np.cumsum(sizes) - sizes
    return np.repeat(begin - first, sizes) + np.arange(len(place)), place
