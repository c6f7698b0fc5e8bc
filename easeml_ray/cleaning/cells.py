"""Which cell of a row to ask for: a value of one cell leaves the row's other cells open.

Symbols
-------
group = alternatives of a row that agree in the cell; g runs over the row's groups
p_g = sum of p_ij over the group
Q_v | g = sum_{j in g} p_ij / p_g  Q_v | i = j
information of a cell = sum_v (H(Q_v) - sum_g p_g H(Q_v | g)), at most that of its row
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.cleaning.cpclean import CPClean
from easeml_ray.cleaning.pointwise import CONDITIONAL, Swept, entropy, listed, slots, sweep
from easeml_ray.cleaning.ranking import RankedPoints
from easeml_ray.errors import InvalidArgument

__all__ = ["cell_gain"]

GAIN_DECIMALS = 10


def cell_gain(clean: CPClean, values: ArrayLike) -> FloatArray:
    """Return what learning one cell of each row tells, (N,): bits, mean over all development points."""
    # Rounded to 1e-10. `values`, (M,), are the cell's in each alternative, of any type that can be compared.
    known = clean.knowledge
    groups = _group_values(values, known.ranked.rows.row_of)
    bits = _cell_information(known.ranked, known.prior, np.flatnonzero(~clean.certain), groups)
    return np.round(bits / clean.n_points, GAIN_DECIMALS)


def _group_values(values: ArrayLike, row_of: IntArray) -> IntArray:
    """Return numbers, from 0 in each row, for the distinct values of each row, (M,)."""
    given = np.asarray(values)
    if given.shape != row_of.shape:
        raise InvalidArgument(
            f"values has shape {given.shape}, not ({len(row_of)},)",
            hint="Give one value an alternative.",
            argument="values",
        )
    _, code = np.unique(given, return_inverse=True)
    order = np.lexsort((code, row_of))
    new_row = np.diff(row_of[order], prepend=-1) != 0
    new_value = new_row | (np.diff(code[order], prepend=-1) != 0)
    number = np.cumsum(new_value) - 1
    first = np.maximum.accumulate(np.where(new_row, number, 0))
    groups = np.empty(len(row_of), dtype=np.int64)
    groups[order] = number - first
    return groups


def _cell_information(
    ranked: RankedPoints, prior: FloatArray, points: IntArray, groups: IntArray
) -> FloatArray:
    """Return what one cell of each row tells, (N,): bits summed over points; those of shards add up."""
    rows = ranked.rows
    width = int(groups.max()) + 1
    cell = rows.row_of * width + groups
    mass = np.bincount(cell, prior, minlength=rows.n_rows * width).astype(np.float64)
    total = np.zeros(rows.n_rows)
    for swept in sweep(ranked, prior, points, CONDITIONAL):
        row, bits = _by_group(ranked, prior, swept, groups, mass.reshape(rows.n_rows, width))
        total += np.bincount(row, bits, minlength=rows.n_rows)
    return total


def _by_group(
    ranked: RankedPoints, prior: FloatArray, swept: Swept, groups: IntArray, mass: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Row and information of each row on each list."""
    found, open_ = swept.found, swept.found.n_labels > 1
    n_rows = np.where(open_, found.n_rows, 0)
    slot, place = slots(swept.offset, n_rows)
    first = np.cumsum(n_rows) - n_rows
    element, entry, point = listed(ranked, swept)
    cell = (first[point] + found.entry_row[entry]) * mass.shape[1] + groups[element]
    n_cells = len(slot) * mass.shape[1]
    weighted = prior[element][:, None] * found.inside[entry]
    joint = np.stack([np.bincount(cell, column, minlength=n_cells) for column in weighted.T], axis=1)
    row = found.row_id[slot].astype(np.int64)
    whole = mass[row].ravel()
    beyond = np.maximum(whole - np.bincount(cell, prior[element], minlength=n_cells), 0.0)
    beyond *= np.repeat(found.beyond[slot] > 0, mass.shape[1])
    joint += beyond[:, None] * np.repeat(found.outside[slot], mass.shape[1], axis=0)
    bits_left = whole * entropy(joint / np.maximum(whole, np.finfo(np.float64).tiny)[:, None])
    left = bits_left.reshape(len(slot), mass.shape[1]).sum(axis=1)
    return row, np.maximum(entropy(found.probabilities)[place] - left, 0.0)
