"""The overfitting meter: how far development flatters a model, in bands.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
g       gap of a model: accuracy on development less accuracy on the population
ĝ       the same with the accuracy on n hidden rows in place of the population's
t       tolerance of a reading
K       number of bands, one more than edges
M       number of answers that the union bound covers, verdicts with their readings
δ_m     probability of error left to all readings of a test set
======  ==========================================================================

Development rows are used again and again, so that its accuracies drift above the truth. A hidden test
set tells by how much; said exactly, each answer would wear the hidden set out as well. The meter says
only in which band ĝ lies.

**Guarantee.** With probability 1 - δ_m, for all readings of the set: g lies in the band read, widened by t
on each side. P(|ĝ - g| > t) ≤ 2 exp(-2 n t²) for one model (Hoeffding; development is fixed, the hidden
rows are drawn), so

    t = √((ln M + ln 2 - ln δ_m) / (2 n)).

It is a promise of its own beside that of the verdicts: where a task's reliability is asked of both, each
holds with that probability, and both together with an error of at most twice δ.

**What it gives away.** At most log2 K bits a reading. Whoever sees readings can steer by them, so that M
counts them (:mod:`easeml_ray.gate.adaptivity`), for the verdicts too. A band narrower than 2 t would say more
than is guaranteed, and is refused.

References
----------
F. A. Hubis, W. Wu and C. Zhang, "Quantitative Overfitting Management for
Human-in-the-loop ML Application Development with ease.ml/meter", 2019.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from easeml_ray.errors import InvalidArgument, TooFewTestRows
from easeml_ray.gate.adaptivity import log_verdicts
from easeml_ray.gate.bounds import PRECISION
from easeml_ray.gate.sizes import error_probability

__all__ = ["MeterReading", "OverfittingMeter"]

MOST_BANDS = 16


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One reading: a band, from 0, the least flattered, and its edges in accuracy, each within the tolerance.

    An edge is None where the band is open.
    """

    band: int
    lower: Decimal | None
    upper: Decimal | None
    tolerance: Decimal

    def __str__(self) -> str:
        return f"development flatters it by {self.band_in_points} points"

    @property
    def band_in_points(self) -> str:
        """The band in words, in accuracy points."""
        lower, upper = (_points(edge) for edge in (self.lower, self.upper))
        return f"{lower} to {upper}" if lower and upper else f"below {upper}" if upper else f"above {lower}"


def _points(edge: Decimal | None) -> str | None:
    return None if edge is None else f"{100 * edge:f}".rstrip("0").rstrip(".")


class OverfittingMeter:
    """Bands of the gap between development and a hidden test set.

    Parameters
    ----------
    edges : sequence of float, Decimal or str
        Where bands meet, ascending, in accuracy: (0.01, 0.05) makes three bands.
    reliability : float or Decimal
        1 - δ_m, in [0.5, 1).
    steps : int
        Readings that the test set is to give.
    adaptivity : str
        As in :func:`easeml_ray.gate.sample_size`; the readings are counted as answers that may steer.

    Raises
    ------
    InvalidArgument
        If the edges do not ascend within (-1, 1), there are none or too many, or a parameter is out of range.

    Examples
    --------
    >>> meter = OverfittingMeter((0.02, 0.10), reliability=0.95, steps=8, adaptivity="none")
    >>> meter.rows
    1803
    >>> print(meter.read(0.93, correct=1700, rows=2000))
    development flatters it by 2 to 10 points
    """

    def __init__(
        self,
        edges: Sequence[float | Decimal | str],
        *,
        reliability: float | Decimal,
        steps: int,
        adaptivity: str,
    ) -> None:
        try:
            self.edges = tuple(Decimal(str(edge)) for edge in edges)
        except decimal.InvalidOperation as error:
            raise InvalidArgument(f"The edges {edges!r} are no numbers.", argument="edges") from error
        inside = all(edge.is_finite() and abs(edge) < 1 for edge in self.edges)
        ascend = inside and all(a < b for a, b in zip(self.edges, self.edges[1:], strict=False))
        if not self.edges or len(self.edges) >= MOST_BANDS or not ascend:
            raise InvalidArgument(
                f"The edges {', '.join(map(str, edges))} do not make 2 to {MOST_BANDS} bands.",
                hint="give ascending numbers between -1 and 1, such as 0.01, 0.05, 0.1",
                argument="edges",
            )
        with decimal.localcontext(PRECISION):
            # ln M + ln 2 - ln δ_m
            logarithm = log_verdicts(steps, adaptivity, bands=self.bands)
            self.exponent = logarithm + Decimal(2).ln() - error_probability(reliability).ln()

    @property
    def bands(self) -> int:
        """K."""
        return len(self.edges) + 1

    @property
    def rows(self) -> int:
        """The fewest hidden rows with which no band is narrower than twice the tolerance."""
        widths = [b - a for a, b in zip(self.edges, self.edges[1:], strict=False)]
        # The open bands have no width; one edge alone is as sharp as its distance from nothing.
        finest = min(widths, default=2 * abs(self.edges[0]) or Decimal("0.02"))
        with decimal.localcontext(PRECISION):
            return int((2 * self.exponent / finest**2).to_integral_value(rounding=ROUND_CEILING))

    def tolerance(self, rows: int) -> Decimal:
        """Return t for a number of hidden rows."""
        with decimal.localcontext(PRECISION):
            return (self.exponent / (2 * rows)).sqrt()

    @property
    def bits(self) -> float:
        """What a reading gives away at most."""
        return math.log2(self.bands)

    def require(self, rows: int) -> None:
        """Refuse a test set on which a band would be narrower than twice the tolerance.

        TooFewTestRows has the rows required and available, and the ways out.
        """
        if rows < self.rows:
            raise TooFewTestRows(
                f"The bands of the meter need {self.rows:,} hidden rows, and there are {rows:,}.",
                hint="make the bands wider, or leave the meter out",
                required=self.rows,
                available=rows,
                ways_out=["make the bands wider", f"add {self.rows - rows:,} rows", "leave the meter out"],
            )

    def reading(self, band: int, rows: int) -> MeterReading:
        """Return what a band that was read says, on so many hidden rows.

        InvalidArgument if there is no such band, TooFewTestRows as in :meth:`require`.
        """
        if not 0 <= band < self.bands:
            raise InvalidArgument(f"There is no band {band} of {self.bands}.", argument="band")
        self.require(rows)
        return MeterReading(
            band,
            self.edges[band - 1] if band else None,
            self.edges[band] if band < len(self.edges) else None,
            self.tolerance(rows),
        )

    def read(self, development: float | Decimal | Fraction, *, correct: int, rows: int) -> MeterReading:
        """Return the band of a model's gap; it got `correct` hidden rows right, of `rows`.

        `development` is its accuracy there, in [0, 1]; a float counts as the decimal that it prints as.
        InvalidArgument if a number is out of range, TooFewTestRows as in :meth:`require`.
        """
        known = development if isinstance(development, Fraction) else Fraction(str(development))
        if not (0 <= known <= 1 and 0 <= correct <= rows and rows > 0):
            raise InvalidArgument(
                f"A development accuracy of {development} and {correct} right of {rows} make no gap.",
                argument="development",
            )
        gap = known - Fraction(correct, rows)
        return self.reading(sum(gap >= Fraction(edge) for edge in self.edges), rows)
