"""From what was measured to a decision.

Symbols
-------
F = embeddings, P = blocks, T = development rows, B = bootstrap worlds, C = classes
e = 1NN error rates, (F, P); in worlds (B, F, P);  h = Cover-Hart values of e
a = decay exponents of the curves, (F,); in worlds (B, F)
b = Bayes error; e_1, e_2 = errors of the consensus with all and with half of the train rows
tau = target error, 1 - target accuracy

The interval of the Bayes error is the calibrated one, cut at the limit of the best classifier
that exists. Outside of the reference class it is widened to cover the classical one as well:
from the Cover-Hart value, at the lower confidence limit and extrapolated to ten times the
rows, to the error of the best classifier, at its upper limit.

A model's error at N train rows is read as ``e(N) = b + (e_1 - b) (N/n)^-g``, where g is the
exponent of the last fall, ``(e_2 - b) / (e_1 - b) = 2^g``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.feasibility.advice import advise
from easeml_ray.feasibility.bounds import cover_hart_lower_bound
from easeml_ray.feasibility.calibration import CONFIDENCE, Z_95, BayesBelief, Calibration, shipped_calibration
from easeml_ray.feasibility.curves import CAP, bootstrap_errors, decay_exponents, extrapolate
from easeml_ray.feasibility.evidence import Evidence
from easeml_ray.feasibility.report import CurvePoint, FeasibilityDecision, FeasibilityReport, SamplesNeeded
from easeml_ray.probes.models import MAX_PROBE_FEATURES
from easeml_ray.statistics import clopper_pearson

__all__ = ["decide", "judge"]

WORLDS = 1000
TAILS = ((1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0)
STEEPEST, FLATTEST = 1.5, 0.1
"""Exponents of a learning curve that are believed; what noise shows beyond them is cut."""


def judge(
    evidence: Evidence,
    target_accuracy: float,
    *,
    seed: int,
    width: int | None,
    calibration: Calibration | None = None,
) -> FeasibilityReport:
    """Turn evidence into a report."""
    calibration = calibration or shipped_calibration()
    tau = round(1.0 - target_accuracy, 12)
    rng = np.random.default_rng(seed)
    neighbours = _neighbours(evidence, tau, rng)
    best = _best_classifier(evidence, neighbours)
    belief, outside = _belief(evidence, calibration, neighbours, best, width)
    needed, settled = _model_curve(evidence, belief, tau, rng)
    decision = decide(tau, belief, best.limit, settled=settled)
    summary = evidence.summary()
    n, T, C = evidence.y_train.size, evidence.y_dev.size, evidence.n_classes
    names = list(evidence.curves)
    first = int(np.argmin(neighbours.e[:, -1]))
    model_error = best.error if summary is None else summary.error
    return FeasibilityReport(
        decision=decision,
        belief=belief.at_most(tau),
        target_accuracy=float(target_accuracy),
        ber_estimate=belief.median,
        ber_interval=(belief.low, belief.high),
        ber_lower=float(neighbours.h[first, -1]),
        ber_upper=float(neighbours.e[first, -1]),
        ber_lower_interval=neighbours.lower_interval,
        ber_upper_interval=neighbours.upper_interval,
        best_embedding=names[first],
        best_classifier=best.name,
        best_error=best.error,
        best_limit=best.limit,
        model_error=model_error,
        curves={
            name: tuple(
                CurvePoint(int(size), int(count), float(value))
                for size, count, value in zip(
                    evidence.sizes[:done], neighbours.errors[f], neighbours.h[f], strict=False
                )
            )
            for f, (name, done) in enumerate(evidence.finished().items())
        },
        slopes=dict(zip(names, neighbours.slopes, strict=True)),
        converged=dict(zip(names, neighbours.converged, strict=True)),
        settled=settled,
        samples_needed=needed,
        options=advise(
            decision, tau, belief=belief, best_limit=best.limit, model_error=model_error, needed=needed,
            settled=settled, n_train=n, n_dev=T, n_classes=C, embeddings=len(names),
        ),
        n_train=n,
        n_dev=T,
        n_classes=C,
        stale_rows=evidence.stale_rows,
        stale_dev_rows=evidence.stale_dev_rows,
        outside=outside,
        reference_class=calibration.reference,
        method=_method(evidence, calibration, outside),
        noise_convention="uniform",
        seed=seed,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Neighbours:
    """What the curves of the nearest-neighbour errors say."""

    errors: IntArray  # (F, P)
    e: FloatArray
    h: FloatArray
    lower_interval: tuple[float, float]
    upper_interval: tuple[float, float]
    capped_low: float  # lower end of the smallest Cover-Hart value at ten times the rows
    slopes: list[tuple[float, float, float]]
    converged: list[bool]


def _neighbours(evidence: Evidence, tau: float, rng: np.random.Generator) -> _Neighbours:
    wrong, sizes, C = evidence.wrong(), evidence.sizes, evidence.n_classes
    T, m = evidence.y_dev.size, len(evidence.curves)
    errors = wrong.sum(axis=2)
    e = errors / T
    h = cover_hart_lower_bound(e, C)
    worlds = bootstrap_errors(wrong, WORLDS, rng)
    h_worlds = cover_hart_lower_bound(worlds[:, :, -1], C)
    done = np.array(list(evidence.finished().values()))
    a, a_worlds = (decay_exponents(rates, sizes, T, C, done) for rates in (e, worlds))
    # Half an error on top: a curve that has met zero is not certain to stay there.
    limit_low, limit_high = clopper_pearson(errors[:, -1], T, confidence=1.0 - (1.0 - CONFIDENCE) / m)
    capped = extrapolate(h_worlds, a_worlds, CAP)
    smallest = np.quantile(h_worlds.min(axis=1), TAILS)
    at_cap = np.quantile(capped, TAILS[0], axis=0)
    low_a, high_a = np.quantile(a_worlds, TAILS, axis=0)
    return _Neighbours(
        errors=errors,
        e=e,
        h=h,
        lower_interval=(float(smallest[0]), float(smallest[1])),
        upper_interval=(float(limit_low.min()), float(limit_high.min())),
        capped_low=min(
            cover_hart_lower_bound(float(limit_low.min()), C),
            float(np.quantile(capped.min(axis=1), TAILS[0])),
        ),
        # The estimate is no quantile of the worlds and may fall outside a narrow interval.
        slopes=[
            (float(min(low, mid)), float(mid), float(max(high, mid)))
            for low, mid, high in zip(low_a, a, high_a, strict=True)
        ],
        converged=[bool(h[f, -1] <= tau or at_cap[f] > tau) for f in range(m)],
    )


@dataclass(frozen=True, slots=True)
class _Best:
    """The classifier with the fewest errors."""

    name: str
    error: float
    limit: float


def _best_classifier(evidence: Evidence, neighbours: _Neighbours) -> _Best:
    found = {
        f"1NN in {name}": int(count)
        for name, count in zip(evidence.curves, neighbours.errors[:, -1], strict=True)
    } | evidence.member_errors()
    T = evidence.y_dev.size
    name = min(found, key=lambda key: found[key])
    # Several were tried and the best one is named: each limit holds at alpha / their number.
    _, limit = clopper_pearson(found[name], T, confidence=1.0 - (1.0 - CONFIDENCE) / len(found))
    return _Best(name, found[name] / T, float(limit))


def _belief(
    evidence: Evidence, calibration: Calibration, neighbours: _Neighbours, best: _Best, width: int | None
) -> tuple[BayesBelief, tuple[str, ...]]:
    """Return the belief about the Bayes error, and how the data are unlike the reference class."""
    summary = evidence.summary()
    if summary is None:
        low, high = neighbours.capped_low, best.limit
        return BayesBelief(low, min(max(neighbours.lower_interval[0], low), high), high), (
            "no probe was trained",
        )
    outside = [*calibration.outside(summary), *_unlike(evidence, width)]
    belief = calibration.belief(summary)
    if belief.low > best.limit:
        # The probes expect more errors than a classifier makes: they speak of other labels.
        outside.append("a classifier errs less than the probes expect of any")
    low, high, most = belief.low, belief.high, 1.0 - 1.0 / evidence.n_classes
    if outside:
        low, high = min(low, neighbours.capped_low), max(high, best.limit)
    if summary.n_train < calibration.reference["rows_a_class"] * summary.n_classes:
        low = 0.0  # so few rows of a class say nothing about how low an error can get
    # A model trained on labels that changed can differ on about as large a share of rows.
    news = evidence.stale_rows / evidence.y_train.size + evidence.stale_dev_rows / evidence.y_dev.size
    high = min(high + evidence.stale_dev_rows / evidence.y_dev.size, best.limit, most)
    low = max(0.0, min(low, high) - news)
    return BayesBelief(low, min(max(belief.median, low), high), high), tuple(outside)


def _unlike(evidence: Evidence, width: int | None) -> list[str]:
    """Say how the rows themselves are unlike those of the reference class."""
    found = []
    if width is None:
        found.append("texts or images, all there are tables")
    elif width > MAX_PROBE_FEATURES:
        found.append(f"{width} features, the most there are {MAX_PROBE_FEATURES}")
    strange = np.setdiff1d(evidence.y_dev, evidence.y_train).size
    if strange:
        found.append(f"{strange} class(es) of development rows that train lacks")
    return found


def decide(tau: float, belief: BayesBelief, limit: float, *, settled: bool) -> FeasibilityDecision:
    """Return the decision; see :class:`FeasibilityDecision`."""
    if tau >= limit:
        return FeasibilityDecision.FEASIBLE_SURE
    if tau >= belief.high:
        return FeasibilityDecision.FEASIBLE
    if tau < belief.low and settled:
        return FeasibilityDecision.INFEASIBLE
    return FeasibilityDecision.UNDECIDED


def _model_curve(
    evidence: Evidence, belief: BayesBelief, tau: float, rng: np.random.Generator
) -> tuple[SamplesNeeded, bool]:
    """Return the rows at which a model meets the target, and whether its curve stays clear of it."""
    n, T = evidence.y_train.size, evidence.y_dev.size
    if evidence.consensus is None:
        return SamplesNeeded(n, n, CAP * n, False), False
    wrong = evidence.consensus.wrong(evidence.y_dev)
    # Half of each half's errors, so that a row counts once; (T,) in halves.
    rows = np.stack([wrong["all"].astype(float), 0.5 * (wrong["first"] * 1.0 + wrong["second"])])
    picked = rng.integers(0, T, (WORLDS, T))
    worlds = np.stack([row[picked].mean(axis=1) for row in rows])  # (2, B)
    point = rows.mean(axis=1)
    b_worlds = np.array([belief.quantile(share) for share in rng.random(WORLDS)])
    factor = _rows_factor(worlds[0], worlds[1], b_worlds, tau)
    low, high = np.ceil(np.quantile(factor, TAILS) * n).astype(int).tolist()
    estimate = float(_rows_factor(point[:1], point[1:], np.array([belief.median]), tau)[0])
    n_hat = int(np.ceil(estimate * n))
    needed = SamplesNeeded(n_hat, min(low, n_hat), max(high, n_hat), estimate >= CAP)
    fall = (rows[1] - rows[0]).mean() + Z_95 * (rows[1] - rows[0]).std() / np.sqrt(T)
    at_cap = point[0] * (point[0] / max(point[0] + max(fall, 0.0), 1e-12)) ** np.log2(CAP)
    return needed, bool(at_cap > tau)


def _rows_factor(e: FloatArray, half: FloatArray, b: FloatArray, tau: float) -> FloatArray:
    """Return N/n at which ``e(N) = tau``, at most :data:`CAP`."""
    excess, half_excess = np.maximum(e - b, 1e-6), np.maximum(half - b, 1e-6)
    exponent = np.clip(np.log2(half_excess / excess), FLATTEST, STEEPEST)
    room = np.maximum(tau - b, 1e-12)
    with np.errstate(over="ignore"):
        factor = (excess / room) ** (1.0 / exponent)
    cut: FloatArray = np.where(e <= tau, 1.0, np.clip(factor, 1.0, CAP))
    return cut


def _method(evidence: Evidence, calibration: Calibration, outside: tuple[str, ...]) -> str:
    embeddings, members = len(evidence.curves), len(evidence.members)
    stale = evidence.stale_rows + evidence.stale_dev_rows
    families = calibration.reference["families"]
    parts = [
        f"{100 * CONFIDENCE:.0f} % interval of the Bayes error from the consensus of {members} probes, "
        f"calibrated on {calibration.reference['problems']:,} problems of known Bayes error in "
        f"{len(families)} families",
        f"classical pair: smallest Cover-Hart value and smallest 1NN error over {embeddings} embedding(s), "
        f"bootstrap of {WORLDS} development sets and Clopper-Pearson at alpha/{embeddings}",
    ]
    if outside:
        parts.append(f"widened to the classical interval, because of {'; '.join(outside)}")
    if stale:
        parts.append(f"widened by the share of {stale} rows that the probes have not seen as they are")
    return "; ".join(parts)
