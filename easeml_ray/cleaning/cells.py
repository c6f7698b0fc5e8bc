"""Which cell of a row to ask for: a value of one cell leaves the row's other cells open.

Symbols
-------
group = alternatives of a row that agree in the cell; g runs over the row's groups
p_g = sum of p_ij over the group
Q_v | g = sum_{j in g} p_ij / p_g  Q_v | i = j
information of a cell = sum_v (H(Q_v) - sum_g p_g H(Q_v | g)), at most that of its row
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.cleaning.pointwise import CONDITIONAL, Swept, entropy, slots, sweep
from easeml_ray.cleaning.ranking import RankedPoints
from easeml_ray.errors import InvalidArgument

if TYPE_CHECKING:
    from easeml_ray.cleaning.cpclean import CPClean

__all__ = ["CellGain", "cell_gain", "cell_information", "group_values", "rank_cells"]

GAIN_DECIMALS = 10


@dataclass(frozen=True, slots=True)
class CellGain:
    """What asking for one cell is expected to tell.

    Attributes
    ----------
    row : int
        The row.
    column : str
        The column.
    bits : float
        Expected information, mean over development points.
    cost : float
        What the answer costs, in any one unit.
    """

    row: int
    column: str
    bits: float
    cost: float

    @property
    def bits_per_cost(self) -> float:
        """Expected information for each unit of cost."""
        return self.bits / self.cost


def rank_cells(
    clean: CPClean, columns: Mapping[str, ArrayLike], costs: Mapping[str, float] | None = None
) -> list[CellGain]:
    """Rank the cells in which alternatives differ, most information for its cost first.

    Parameters
    ----------
    clean : CPClean
        What is known now.
    columns : mapping of str to array-like of shape (n_alternatives,)
        The value that each alternative has in each column, of any type that can be compared.
    costs : mapping of str to float, optional
        Cost of one cell of each column; by default 1.

    Returns
    -------
    list of CellGain
        Those that tell something; ties go to the smaller row, then to the earlier column.

    Raises
    ------
    InvalidArgument
        If a column has not one value an alternative, or a cost is not positive.

    Examples
    --------
    Both cells of row 0 are open, but only the first moves it:

    >>> from easeml_ray.cleaning import CPClean
    >>> clean = CPClean([[0.0], [0.0], [9.0], [9.0], [4.0]], [0, 4, 5], [1, 0], [[0.0]], [1], k=1)
    >>> rank_cells(clean, {"size": [0, 0, 9, 9, 4], "name": ["a", "b", "a", "b", "a"]})
    [CellGain(row=0, column='size', bits=1.0, cost=1.0)]
    """
    prices = {} if costs is None else costs
    found: list[CellGain] = []
    for column, values in columns.items():
        cost = float(prices.get(column, 1.0))
        if not (isfinite(cost) and cost > 0):
            raise InvalidArgument(
                f"the cost of column {column!r} is {cost}", hint="Give a positive number.", argument="costs"
            )
        bits = cell_gain(clean, values)
        found += [CellGain(int(row), column, float(bits[row]), cost) for row in np.flatnonzero(bits > 0)]
    return sorted(found, key=lambda cell: (-cell.bits_per_cost, cell.row))


def cell_gain(clean: CPClean, values: ArrayLike) -> FloatArray:
    """Compute the expected information of learning one cell of each row.

    Parameters
    ----------
    clean : CPClean
        What is known now.
    values : array-like of shape (n_alternatives,)
        The cell's value in each alternative, of any type that can be compared.

    Returns
    -------
    ndarray of shape (n_rows,)
        Bits, mean over all development points, rounded to 1e-10.

    Raises
    ------
    InvalidArgument
        If there is not one value an alternative.
    """
    known = clean.knowledge
    groups = group_values(values, known.ranked.rows.row_of)
    bits = cell_information(known.ranked, known.prior, np.flatnonzero(~clean.certain), groups)
    return np.round(bits / clean.n_points, GAIN_DECIMALS)


def group_values(values: ArrayLike, row_of: IntArray) -> IntArray:
    """Give numbers to the distinct values within each row.

    Parameters
    ----------
    values : array-like of shape (M,)
        Any that can be compared.
    row_of : ndarray of int64, shape (M,)
        Row of each.

    Returns
    -------
    ndarray of int64, shape (M,)
        0, 1, ... in each row; equal where values are.

    Raises
    ------
    InvalidArgument
        If there is not one value an alternative.
    """
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


def cell_information(
    ranked: RankedPoints, prior: FloatArray, points: IntArray, groups: IntArray
) -> FloatArray:
    """Compute the expected information of one cell of each row, summed over points.

    Parameters
    ----------
    ranked : RankedPoints
        The points.
    prior : ndarray of shape (M,)
        Present probabilities.
    points : ndarray of int64, shape (P,)
        Which points; those of different shards add up.
    groups : ndarray of int64, shape (M,)
        Numbers of the cell's values, from 0 in each row.

    Returns
    -------
    ndarray of shape (N,)
        Bits.
    """
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
    sizes = np.where(open_, np.diff(ranked.start)[swept.points], 0)
    at, point = slots(swept.offset, sizes)
    element = ranked.elements[slots(ranked.start[swept.points], sizes)[0]]
    kept = found.entry_of[at] >= 0
    at, point, element = at[kept], point[kept], element[kept]
    entry = swept.offset[point] + found.entry_of[at]
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
