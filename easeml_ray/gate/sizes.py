"""How many test rows a condition needs.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
H       number of models that one test set is to judge (steps)
M       number of verdicts in the union bound, see :mod:`easeml_ray.gate.adaptivity`
δ       1 - reliability, shared equally by the clauses
p       largest share of rows on which the models differ: given, or A of a clause d < A
======  ==========================================================================

A clause in d alone is decided by features. Under a bound that uses p it is a filter: it is decided on
rows that need no label, and the others speak of models that differ on at most a share p of the rows
(why that is right: :mod:`easeml_ray.gate.bounds.bennett`).

A clause on a slice or a class is decided by the rows of that slice or class, and needs so many of them.

References
----------
C. Renggli et al., "Continuous Integration of Machine Learning Models with
ease.ml/ci", SysML 2019, sections 3 and 4 and Figure 2.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from easeml_ray.errors import InvalidArgument
from easeml_ray.gate.adaptivity import log_verdicts
from easeml_ray.gate.bounds import BOUNDS, PRECISION, USES_DISCORDANCE, Ask, Need
from easeml_ray.gate.condition import Clause, Condition, Subset

__all__ = ["ClauseSize", "Plan", "SampleSize", "error_probability", "sample_size"]


@dataclass(frozen=True, slots=True)
class ClauseSize:
    """What one clause asks: rows, of its slice or class, and the labels expected for each model."""

    clause: Clause
    rows: int
    labels: int
    bound: str

    def __str__(self) -> str:
        where = f" among the {self.clause.subset}" if self.clause.subset else ""
        labels = "no labels" if not self.labels else f"{self.labels:,} labels"
        return f"{self.clause}: {self.rows:,} rows{where}, {labels} ({self.bound})"


@dataclass(frozen=True, slots=True)
class SampleSize:
    """What a condition asks of a test set; ``str`` explains it clause by clause.

    Parameters
    ----------
    rows : int
        Rows of the test set that the clauses are decided on; under a bound that uses p, those of
        the clauses that need labels.
    labels : int
        How many need a label: all rows of clauses in n or o, and for n - o with a known p those on
        which the models differ (in expectation, for each model).
    unlabelled : int
        How many more rows are needed of which only the features count.
    clause : int
        Index of the clause that decides ``rows``.
    bound : str
        Name of the bound asked.
    clauses : tuple of ClauseSize
        One a clause, in order.
    """

    rows: int
    labels: int
    unlabelled: int
    clause: int
    bound: str
    clauses: tuple[ClauseSize, ...]

    @property
    def total(self) -> int:
        """Rows that the test set must hold, labelled or not."""
        return self.labels + self.unlabelled

    def __str__(self) -> str:
        lines = [f"{self.total:,} rows, of which {self.labels:,} need a label"]
        for i, size in enumerate(self.clauses):
            lines.append(f"{'*' if i == self.clause else ' '} {size}")
        return "\n".join(lines)


def sample_size(
    condition: Condition,
    *,
    reliability: float | Decimal,
    steps: int,
    adaptivity: str,
    bound: str = "hoeffding",
    discordance: float | Decimal | None = None,
    bands: int = 1,
) -> SampleSize:
    r"""Return the size of a test set that carries a condition's guarantee.

    Parameters
    ----------
    condition : Condition
        What every model is tested for.
    reliability : float or Decimal
        Probability that all verdicts hold, 1 - δ, in [0.5, 1).
    steps : int
        H, the number of models that the test set is to judge, at least 1.
    adaptivity : {"none", "full", "firstChange"} or "bounded:B"
        What the verdicts may influence; B is the number of passes at which the test set retires.
    bound : str, default "hoeffding"
        Which inequality, a name of :data:`easeml_ray.gate.bounds.BOUNDS`. The first is the published one;
        ``best`` is the smallest of all, each of which has its proof where it stands.
    discordance : float or Decimal, optional
        p, where it is known; a clause ``d < A`` says so itself.
    bands : int, default 1
        Bands of an overfitting meter that is read with every verdict; 1 without a meter.

    Returns
    -------
    SampleSize
        Rows, labels, and what each clause asks.

    Raises
    ------
    InvalidArgument
        If a parameter is outside its range, a discordance is given to a bound that has no use for it,
        or ``bennett`` is asked without one.

    Examples
    --------
    >>> from easeml_ray.gate import parse, sample_size
    >>> sample_size(parse("n > 0.8 +/- 0.1"), reliability=0.99, steps=32, adaptivity="none").rows
    404
    >>> size = sample_size(
    ...     parse("d < 0.1 +/- 0.05 /\\ n - o > 0.02 +/- 0.01"),
    ...     reliability=0.9999, steps=32, adaptivity="none", bound="bennett",
    ... )
    >>> size.rows, size.labels
    (29048, 2905)
    >>> print(size)
    29,048 rows, of which 2,905 need a label
      d < 0.1 +/- 0.05: 2,674 rows, no labels (hoeffding_paired)
    * n - o > 0.02 +/- 0.01: 29,048 rows, 2,905 labels (bennett)
    """
    return Plan(reliability, steps, adaptivity, bound, discordance, bands).size(condition)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a test set besides the condition; parameters as in :func:`sample_size`."""

    reliability: float | Decimal
    steps: int
    adaptivity: str
    bound: str
    discordance: float | Decimal | None = None
    bands: int = 1

    def __post_init__(self) -> None:
        if self.bound not in BOUNDS:
            raise InvalidArgument(
                f"The bound {self.bound!r} is not known.",
                hint=f"one of {', '.join(BOUNDS)}",
                argument="bound",
            )
        if self.discordance is None:
            return
        if self.bound not in USES_DISCORDANCE:
            raise InvalidArgument(
                f"The bound {self.bound!r} makes no use of a discordance.",
                hint=f"leave it out, or take one of {', '.join(sorted(USES_DISCORDANCE))}",
                argument="discordance",
            )
        if not 0 < exact_share(self.discordance) <= 1:
            raise InvalidArgument(
                f"The discordance {self.discordance} is not in (0, 1].", argument="discordance"
            )

    def size(self, condition: Condition) -> SampleSize:
        """Return what a condition needs, δ shared equally by the clauses."""
        with decimal.localcontext(PRECISION):
            delta = error_probability(self.reliability) / len(condition.clauses)
            logarithm = log_verdicts(self.steps, self.adaptivity, bands=self.bands)
        sizes = tuple(self._clause(clause, condition, logarithm, delta) for clause in condition.clauses)
        if self.bound == "bennett" and all(size.bound != "bennett" for size in sizes):
            raise InvalidArgument(
                f"The bound bennett needs a clause in n - o and a known discordance, unlike {condition}.",
                hint="add a clause such as d < 0.1 +/- 0.05, give discordance=, or take the bound best",
                argument="bound",
            )
        labels = _labels(sizes)
        total = max(size.rows for size in sizes)
        counted = [size.rows if self._decides(size, sizes) else 0 for size in sizes]
        rows = max(counted)
        return SampleSize(rows, labels, total - labels, counted.index(rows), self.bound, sizes)

    def _decides(self, size: ClauseSize, sizes: tuple[ClauseSize, ...]) -> bool:
        """Whether a clause's rows are rows of the labelled test set: a filter's are not."""
        is_filter = self.bound in USES_DISCORDANCE and not (size.clause.n or size.clause.o)
        return not is_filter or not any(other.clause.n or other.clause.o for other in sizes)

    def _clause(self, clause: Clause, condition: Condition, logarithm: Decimal, delta: Decimal) -> ClauseSize:
        p = None
        if self.bound in USES_DISCORDANCE and (clause.n or clause.o):
            # A share of all rows says nothing of a slice, on which all of them may lie.
            given = self.discordance is not None and clause.subset is None
            known = [exact_share(self.discordance)] if given else []  # type: ignore[arg-type]
            with decimal.localcontext(PRECISION):
                known += [
                    p for other in condition.clauses if (p := asserted(other, clause.subset)) is not None
                ]
            p = min(known, default=None)
        ask = Ask(logarithm, delta, p if p is not None and p < 1 else None, len(condition.clauses))
        found: Need | None = BOUNDS[self.bound](clause, ask)
        if found is None:
            # A bound that does not speak of such a clause leaves it to one that speaks of all.
            found = BOUNDS["hoeffding_paired" if self.bound == "bennett" else "chernoff"](clause, ask)
            assert found is not None
        return ClauseSize(clause, found.rows, found.labels, found.bound)


def _labels(sizes: Sequence[ClauseSize]) -> int:
    """Count the labels: the rows that some clause wants whole, and the share of the others that differ."""
    plain = [size for size in sizes if size.clause.subset is None]
    whole = max((size.rows for size in plain if size.labels == size.rows), default=0)
    beyond = [
        -(-size.labels * (size.rows - whole) // size.rows)
        for size in plain
        if size.labels < size.rows and size.rows > whole
    ]
    return max([whole + max(beyond, default=0), *(size.labels for size in sizes)])


def asserted(clause: Clause, subset: Subset | None) -> Decimal | None:
    """Return A where a clause says d < A of these rows."""
    if clause.n or clause.o or clause.comparison != "<" or clause.d <= 0 or clause.subset != subset:
        return None
    share = clause.threshold * clause.d.denominator / clause.d.numerator
    return share if 0 < share < 1 else None


def exact_share(value: float | Decimal) -> Decimal:
    """Return a share as the decimal that it prints as."""
    try:
        share = Decimal(str(value))
    except decimal.InvalidOperation:
        share = Decimal("NaN")
    return share if share.is_finite() else Decimal(-1)


def error_probability(reliability: float | Decimal) -> Decimal:
    """Return δ, exact: a float counts as the decimal that it prints as."""
    try:
        value = Decimal(str(reliability))
    except decimal.InvalidOperation:
        value = Decimal("NaN")
    if not (value.is_finite() and Decimal("0.5") <= value < 1):
        raise InvalidArgument(
            f"The reliability {reliability!r} is not in [0.5, 1).",
            hint="such as 0.99: one wrong verdict in a hundred test sets",
            argument="reliability",
        )
    return 1 - value
