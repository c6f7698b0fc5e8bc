"""Matrix products that rank train rows, with what rounding may have done to them.

Symbols
-------
T = test rows, m = train rows of a block, d = features
q = a test row, a = a train row, D = their squared distance as float64 computes it
c = a fixed centre near the data, (d,); 2^e = a unit near the spread of the data
x, y = (q - c) / 2^e, (T, d), and (a - c) / 2^e, (m, d)
q2, a2 = |x|^2 (T,) and |y|^2 (m,), float64
s = a2 - 2 x.y = D / 4^e - q2 = score of a pair: ranks train rows as D does
S = what a pass computes for s, (T, m), such that ``S - margin <= s``; margin (T,)
upper = bound of the k-th smallest score of a test row from above, (T,)

Only pairs with ``S <= upper + margin`` can be among the k nearest. As the margin belongs to
the test row and all else that is uncertain is taken off S, a train row far out harms no other.

Float pass: ``S = [x, 1] [-2 y; (1 - 2 g) a2]`` with unit roundoff u, 2^-24 or 2^-53
    A dot product of n terms, summed in whatever order and with or without fused
    multiplication, errs by at most ``n u / (1 - n u)`` times the sum of the terms' magnitudes.
    S is one of d + 1 terms, x and y carry at most two roundings a term, the last coefficient
    one; and ``2 |x.y| <= q2 + a2``. So with ``g = n u / (1 - n u) + 2 (d + 4) 2^-53, n = d + 6``
    (the second part is for q2 and a2, themselves sums in float64)::

        S <= (s - 2 g a2) + g (q2 + 2 a2),   margin = g q2

Integer pass: x = p X + f and y = r Y + h with X, Y whole numbers up to 127 in magnitude
    x.y = p r X.Y + f.y + p X.h, and ``2 |f| |y| <= |f|^2 / alpha + alpha |y|^2`` for every
    alpha > 0, so ``S = a2 (1 - alpha) - |h|^2 / beta - 2 p r X.Y`` needs
    ``margin = |f|^2 / alpha + beta |p X|^2``. In units of 2 p r the first two terms of S, less
    an offset, are rounded down to a whole number, which four more columns write in base 127;
    the products are whole numbers and exact.

Both margins also hold what underflow may add. A row outside the range of the unit has no score: a test row
beyond 2^30 units gets an infinite margin; a train row beyond 2^33 units is at least eight times as far from c
as any test row that has one, so that ``s >= 2^65``, which is its S. Neither overflows.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray

__all__ = ["Columns", "FloatPass", "IntegerPass", "Pass", "Scaled", "integers_pay"]

Precision: TypeAlias = type[np.float32] | type[np.float64]
Rows: TypeAlias = slice | IntArray

WIDE = 2.0**60  # q2 of a test row that has no score
FAR = 2.0**66  # a2 of a train row that has none
UNSEEN = 2.0**100  # above every S
EPS64 = 2.0**-53

LARGEST = 127  # of a whole number in eight bits
DIGITS = 3  # columns that count 127 each; one more counts 1
OFFSET_RANGE = DIGITS * LARGEST * LARGEST + LARGEST // 2
SMALLEST_STEP = 2.0**-60  # products of steps stay far from underflow
INTEGER_WORK = 1e9  # products from which on laying out whole numbers pays
IMPORT_WORK = 3e11  # and from which on importing torch for them does


class Columns(Protocol):
    """The train rows of one block, laid out for one pass."""

    dtype: type[Any]

    def multiply(self, rows: Rows, out: NDArray[Any]) -> NDArray[Any]:
        """Write the scores of some test rows into `out`, and return it."""

    def ceiling(self, rows: Rows, upper: FloatArray) -> NDArray[Any]:
        """Return the largest S that a pair below the upper bounds of these rows can have."""

    def lower(self, rows: IntArray, scores: NDArray[Any]) -> FloatArray:
        """Return lower bounds of the scores s of pairs: their test rows, their S."""


class Pass(Protocol):
    """The test rows, laid out for products of one kind."""

    def columns(self, block: FloatArray) -> Columns:
        """Lay out a block of train rows, (m, d)."""


class Scaled:
    """Test rows x in units of 2^e. Shapes: rows (T, d); centre (d,)."""

    def __init__(self, rows: FloatArray, centre: FloatArray, e: int) -> None:
        self.e, self.centre, self.width = e, centre, rows.shape[1]
        x = self.units(rows)
        self.q2 = np.einsum("ij,ij->i", x, x)
        self.wide = self.q2 > WIDE
        x[self.wide], self.q2[self.wide] = 0.0, 0.0
        self.x = x
        with np.errstate(over="ignore"):
            # What underflow may add to D, which has no unit, and to q2.
            self.floor = float(np.ldexp(8.0 * (self.width + 4), -1022 - 2 * e))

    def units(self, rows: FloatArray) -> FloatArray:
        """Return rows from the centre in units of 2^e; ``inf`` where that overflows."""
        with np.errstate(over="ignore"):
            return (rows - self.centre) * 2.0**-self.e

    def train(self, block: FloatArray) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """Return y and a2 of train rows, zeros for those beyond the range, and which those are."""
        y = self.units(block)
        a2 = np.einsum("ij,ij->i", y, y)
        far = a2 > FAR
        y[far], a2[far] = 0.0, 0.0
        return y, a2, far

    def margin(self, bound: FloatArray) -> FloatArray:
        """Return the margin of the test rows, given the bound of all but underflow, (T,)."""
        return np.where(self.wide, np.inf, bound + self.floor)

    def upper(self, rows: Rows, distance: FloatArray) -> FloatArray:
        """Return the largest scores that belong to distances D of these test rows."""
        spare = 2.0 * (self.width + 4) * EPS64
        with np.errstate(over="ignore"):
            d2 = np.ldexp(distance, -2 * self.e)
        bound: FloatArray = d2 * (1.0 + spare) - self.q2[rows] * (1.0 - spare) + self.floor
        return bound


class FloatPass:
    """Products in float32 or float64."""

    def __init__(self, scaled: Scaled, dtype: Precision) -> None:
        rows, width = scaled.x.shape
        self.scaled, self.dtype = scaled, dtype
        rounding = (width + 6) * float(np.finfo(dtype).eps) / 2.0
        self.g = rounding / (1.0 - rounding) + 2.0 * (width + 4) * EPS64
        self.left: NDArray[Any] = np.ones((rows, width + 1), dtype=dtype)
        self.left[:, :width] = scaled.x
        underflow = (4 * width + 8) * float(np.finfo(dtype).tiny)
        self.margin = scaled.margin(self.g * scaled.q2 + underflow)

    def columns(self, block: FloatArray) -> Columns:
        """Lay out a block of train rows, (m, d)."""
        y, a2, far = self.scaled.train(block)
        right: NDArray[Any] = np.empty((y.shape[1] + 1, y.shape[0]), dtype=self.dtype)
        np.multiply(y.T, -2.0, out=right[:-1], casting="same_kind")
        right[-1] = np.where(far, FAR / 2.0, (1.0 - 2.0 * self.g) * a2)
        return _FloatColumns(self, right)


class _FloatColumns:
    def __init__(self, left: FloatPass, right: NDArray[Any]) -> None:
        self.dtype, self.left, self.right, self.margin = left.dtype, left.left, right, left.margin

    def multiply(self, rows: Rows, out: NDArray[Any]) -> NDArray[Any]:
        # OpenBLAS computes on unused lanes too, and what it finds there may raise the flag.
        with np.errstate(invalid="ignore", over="ignore"):
            return np.matmul(self.left[rows], self.right, out=out)

    def ceiling(self, rows: Rows, upper: FloatArray) -> NDArray[Any]:
        bound = np.minimum(upper + self.margin[rows], UNSEEN).astype(self.dtype)
        above: NDArray[Any] = np.nextafter(bound, self.dtype(np.inf))
        return above

    def lower(self, rows: IntArray, scores: NDArray[Any]) -> FloatArray:
        bound: FloatArray = scores.astype(np.float64) - self.margin[rows]
        return bound


class IntegerPass:
    """Products of whole numbers in eight bits, several times as fast as those in float32."""

    def __init__(self, scaled: Scaled) -> None:
        import torch

        self.scaled = scaled
        rows, width = scaled.x.shape
        self.step, whole = _whole(scaled.x)  # p, X
        self.f2 = _residual(scaled.x, self.step, whole)
        self.x2 = self.step**2 * np.einsum("ij,ij->i", whole, whole)
        self.typical_f2, self.typical_x2 = _middle(self.f2), _middle(self.x2)
        left = np.full((rows, width + DIGITS + 1), LARGEST, dtype=np.int8)
        left[:, :width], left[:, -1] = whole, 1
        self.left = torch.from_numpy(left)

    def columns(self, block: FloatArray) -> Columns:
        """Lay out a block of train rows, (m, d)."""
        y, a2, far = self.scaled.train(block)
        step, whole = _whole(y)  # r, Y
        h2 = _residual(y, step, whole)
        alpha, beta = _balance(self.typical_f2, _middle(a2)), _balance(_middle(h2), self.typical_x2)
        spare = 4.0 * (y.shape[1] + 4) * EPS64
        margin = self.scaled.margin(self.f2 / alpha + beta * self.x2 + spare * self.scaled.q2)
        least = a2 * (1.0 - alpha - spare) - h2 / beta
        unit = 2.0 * self.step * step
        offset = float(least.min()) + OFFSET_RANGE * unit
        least[far] = FAR / 2.0
        # Lowering is allowed: to a whole number, and to the largest that the digits can write.
        term = np.minimum(np.floor((least - offset) / unit) - 1.0, OFFSET_RANGE)
        right = np.empty((y.shape[0], y.shape[1] + DIGITS + 1), dtype=np.int8)
        np.negative(whole, out=whole)
        right[:, : y.shape[1]] = whole
        rest = np.maximum(term, -OFFSET_RANGE)
        high = np.rint(rest / LARGEST)
        right[:, -1] = rest - LARGEST * high
        for digit in range(DIGITS):
            part = np.clip(high, -LARGEST, LARGEST)
            right[:, y.shape[1] + digit] = part
            high -= part
        return _IntegerColumns(self.left, right, margin, unit, offset)


class _IntegerColumns:
    dtype = np.int32

    def __init__(self, left: Any, right: NDArray[np.int8], margin: FloatArray, unit: float, offset: float):
        import torch

        self.product, self.from_numpy = torch._int_mm, torch.from_numpy
        self.left, self.right = left, torch.from_numpy(right).t()
        self.margin, self.unit, self.offset = margin, unit, offset

    def multiply(self, rows: Rows, out: NDArray[Any]) -> NDArray[Any]:
        left = self.left[rows if isinstance(rows, slice) else self.from_numpy(rows)]
        self.product(left, self.right, out=self.from_numpy(out))
        return out

    def ceiling(self, rows: Rows, upper: FloatArray) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            bound = np.ceil((upper + self.margin[rows] - self.offset) / self.unit) + 1.0
        return np.clip(bound, -(2.0**31), 2.0**31 - 1.0).astype(np.int32)

    def lower(self, rows: IntArray, scores: NDArray[Any]) -> FloatArray:
        bound: FloatArray = scores * self.unit + self.offset - self.margin[rows]
        return bound


def integers_pay(width: int, work: float) -> bool:
    """Return whether this machine multiplies whole numbers fast, and enough for it to pay."""
    if width > 1 << 15 or work < INTEGER_WORK:
        return False
    return ("torch" in sys.modules or work >= IMPORT_WORK) and _multiplies_integers()


@cache
def _multiplies_integers() -> bool:
    import torch

    if not (torch._C._has_mkldnn and getattr(torch.cpu, "_is_vnni_supported", bool)()):
        return False
    # Older instructions add pairs of products in 16 bits: these would not fit.
    most = torch.full((8, 64), LARGEST, dtype=torch.int8)
    product = torch._int_mm(most, -most.t())
    return bool((product == -64 * LARGEST * LARGEST).all())


def _whole(values: FloatArray) -> tuple[float, FloatArray]:
    """Return a step and the whole numbers of steps, at most 127, nearest to the values."""
    largest = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
    step = max(largest / LARGEST, SMALLEST_STEP)
    whole = values / step
    return step, np.rint(whole, out=whole)


def _residual(values: FloatArray, step: float, whole: FloatArray) -> FloatArray:
    """Return an upper bound of the squared length of what the whole numbers leave, row by row."""
    rest = step * whole
    rest -= values
    # What rounding does to a coordinate of the rest is below 2^-40 of a step.
    bound: FloatArray = np.einsum("ij,ij->i", rest, rest)
    bound *= 1.0 + 2.0**-8
    bound += 2.0**9 * values.shape[1] * (step * 2.0**-40) ** 2
    return bound


def _middle(squares: FloatArray) -> float:
    return float(np.median(squares)) + float(np.finfo(np.float64).tiny)


def _balance(part: float, whole: float) -> float:
    """Return the factor for which two typical terms are equal and their sum is smallest."""
    return min(max(float(np.sqrt(part / whole)), 2.0**-16), 1.0)
