"""What narrowing a feasibility interval is worth, in accuracy points.

Symbols
-------
b = estimated Bayes error, s = standard deviation of the belief above it
tau = target error
n = development rows at hand, r = rows to be labelled
z = normal quantile of the belief that makes an answer clear: the upper end of the interval
g = distance of the best Cover-Hart value to the second best, m = embeddings tried

Neither action makes any model better. Each may turn an open answer into FEASIBLE, upon which training starts;
it is worth the probability of that times what training then is worth at most, the distance of the deployed
accuracy to the target. All of s is taken to shrink with development rows, as that of counting does: what the
halves of train disagree about does not, so the value of labelling is an upper estimate where they do.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility.calibration import Z_95
from easeml_ray.feasibility.report import FeasibilityDecision, FeasibilityReport
from easeml_ray.messages import Gain

__all__ = ["to_gain"]

NORMAL = NormalDist()


def to_gain(
    report: FeasibilityReport, *, current_accuracy: float, development_rows: int = 0, embeddings: int = 0
) -> Gain:
    """Value labelling development rows, or probing embeddings, after a study."""
    if (development_rows > 0) == (embeddings > 0) or development_rows < 0 or embeddings < 0:
        raise InvalidArgument(
            "give either development_rows or embeddings",
            hint="Each action is valued alone.",
            argument="development_rows",
        )
    if not 0.0 <= current_accuracy <= 1.0:
        raise InvalidArgument(
            f"current_accuracy is {current_accuracy}",
            hint="Give a share between 0 and 1.",
            argument="current_accuracy",
        )
    room = max(0.0, report.target_accuracy - current_accuracy)
    if report.decision in (FeasibilityDecision.FEASIBLE_SURE, FeasibilityDecision.FEASIBLE):
        return Gain(0.0, 0.0, 0.0)
    low, high = report.ber_interval
    middle = report.ber_estimate
    # No error among n rows leaves no spread; one row more or less is the least there is.
    s = max((high - middle) / Z_95, 1.0 / report.n_dev)
    if development_rows:
        mean, worst, best = (
            _clear_after_rows(b, s, report.target_error, report.n_dev, development_rows)
            for b in (middle, max(high, middle), min(low, middle))
        )
        return Gain(room * mean, room * worst, room * best)
    gap = _gap(report, s)
    mean, best = (
        _clear_after_probe(b, s, report.target_error, gap, len(report.curves), embeddings)
        for b in (middle, min(low, middle))
    )
    # The worst case of a probe is an embedding no better than those tried.
    return Gain(room * mean, 0.0, room * best)


def _clear_after_rows(b: float, s: float, tau: float, n: int, r: int) -> float:
    """Return P(belief clear after r rows): the new estimate is b + s sqrt(r/(n+r)) N(0, 1)."""
    spread_left = s * math.sqrt(n / (n + r))
    move = s * math.sqrt(r / (n + r))
    return NORMAL.cdf((tau - b - Z_95 * spread_left) / move)


def _clear_after_probe(b: float, s: float, tau: float, gap: float, m: int, k: int) -> float:
    """Return P(one of k new embeddings makes the belief clear)."""
    # Exchangeable embeddings: one of the new ones is the best of all with chance k/(m+k), and it then leads
    # by an exponential distance whose mean is the lead of the present best.
    drop = max(0.0, b + Z_95 * s - tau)
    return k / (m + k) * math.exp(-drop / gap)


def _gap(report: FeasibilityReport, s: float) -> float:
    values = sorted(curve[-1].cover_hart for curve in report.curves.values())
    # A single embedding shows no lead, and a tie none that is larger than the noise.
    return max(values[1] - values[0], s) if len(values) > 1 else s
