"""What verdicts may influence, how many of them a guarantee has to cover, and what they give away.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
H       number of models that one test set is to judge (steps)
B       number of passes at which the set retires
K       number of bands of a meter that each verdict is told with, 1 without a meter
M       number of verdicts that may ever be given, over all courses of events
======  ==========================================================================

Whoever sends the models is a function from the verdicts so far to the next model: a tree, whose models
are all fixed before the test set is seen. Each must be judged right, so M is the number of its nodes.

============  =========================  ==============================================
adaptivity    M                          why
============  =========================  ==============================================
none          H                          the models are fixed, verdicts steer nothing
full          2^H                        2^t nodes at step t, less than 2^H in all
firstChange   H                          the set retires at the first pass: until then
                                         every verdict was FAIL, one node a step
bounded:B     Σ_{i=1..B} C(H, i)         at step t (from 0) one node for each choice of
                                         fewer than B passes: Σ_{i<B} C(t, i), summed over t
============  =========================  ==============================================

Where readings of the overfitting meter leave with the verdicts, a node has K times as many children: at
step t there are K^t times as many nodes, so that M K^(H-1) covers them all.

References
----------
C. Renggli et al., "Continuous Integration of Machine Learning Models with
ease.ml/ci", SysML 2019, section 3.
A. Blum and M. Hardt, "The Ladder: a reliable leaderboard for machine learning
competitions", ICML 2015 (counting transcripts).
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from easeml_ray.errors import InvalidArgument
from easeml_ray.gate.bounds.base import PRECISION

__all__ = ["leaked_bits", "log_verdicts", "passes_allowed"]

PATTERN = r"none|full|firstChange|bounded:[1-9][0-9]{0,5}"
MOST_STEPS = 10**9
# Sums of binomial coefficients are exact up to here; beyond, their bound (e H / B)^B stands for them.
EXACT_PASSES = 200


def passes_allowed(adaptivity: str) -> int | None:
    """Return at how many passes the test set retires; None where passes do not end it."""
    if not isinstance(adaptivity, str) or not re.fullmatch(PATTERN, adaptivity):
        raise InvalidArgument(
            f"The adaptivity {adaptivity!r} is not known.",
            hint="one of none, full, firstChange, or bounded:3 for a set that retires at the third pass",
            argument="adaptivity",
        )
    if adaptivity == "firstChange":
        return 1
    return int(adaptivity.partition(":")[2]) if ":" in adaptivity else None


def log_verdicts(steps: int, adaptivity: str, *, bands: int = 1) -> Decimal:
    """Return ln M, or ln M + (H - 1) ln K with a meter; neither is ever formed."""
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MOST_STEPS:
        raise InvalidArgument(
            f"steps is {steps!r}, not a whole number from 1 to {MOST_STEPS:,}.", argument="steps"
        )
    if isinstance(bands, bool) or not isinstance(bands, int) or bands < 1:
        raise InvalidArgument(f"bands is {bands!r}, not a whole number from 1 up.", argument="bands")
    passes = passes_allowed(adaptivity)
    if bands > 1 and adaptivity != "none":
        readings = PRECISION.multiply(Decimal(steps - 1), PRECISION.ln(Decimal(bands)))
        return PRECISION.add(log_verdicts(steps, adaptivity), readings)
    everything = PRECISION.multiply(Decimal(steps), PRECISION.ln(Decimal(2)))
    if adaptivity == "full":
        return everything
    if passes is None:
        return PRECISION.ln(Decimal(steps))
    if passes <= EXACT_PASSES:
        return PRECISION.ln(Decimal(sum(math.comb(steps, i) for i in range(1, passes + 1))))
    ratio = PRECISION.divide(Decimal(steps), Decimal(min(passes, steps)))
    return min(everything, PRECISION.multiply(Decimal(passes), PRECISION.add(1, PRECISION.ln(ratio))))


def leaked_bits(adaptivity: str, *, verdicts: int, passes: int, bands: int = 1) -> float:
    """Return how many bits about the test set the verdicts so far can have given away at most.

    The logarithm of how many sequences of answers there could have been; with ``none`` they reach
    nobody who could use them while the set lives, and count one bit each all the same.

    Parameters
    ----------
    adaptivity : str
        A row of the table above.
    verdicts, passes : int
        Verdicts given, and how many of them were PASS.
    bands : int
        K.

    Examples
    --------
    >>> leaked_bits("full", verdicts=4, passes=1), leaked_bits("firstChange", verdicts=3, passes=0)
    (4.0, 2.0)
    """
    allowed = passes_allowed(adaptivity)
    readings = verdicts * math.log2(bands)
    if allowed is None or allowed >= verdicts:
        return readings + verdicts
    if allowed > EXACT_PASSES:
        return readings + min(float(verdicts), allowed * math.log2(math.e * verdicts / allowed))
    return readings + math.log2(sum(math.comb(verdicts, i) for i in range(allowed + 1)))
