"""What a person should do about a feasibility decision, in sentences."""

from __future__ import annotations

from easeml_ray.feasibility.bounds import noise_rate
from easeml_ray.feasibility.report import FeasibilityDecision, SamplesNeeded

__all__ = ["advise"]


def advise(
    decision: FeasibilityDecision,
    tau: float,
    *,
    ber_lower: float,
    belief: float,
    interval: tuple[float, float],
    needed: SamplesNeeded,
    n_train: int,
    n_dev: int,
    n_classes: int,
    embeddings: int,
) -> tuple[str, ...]:
    """Say what to do next.

    Parameters
    ----------
    decision : FeasibilityDecision
        The answer of the study.
    tau : float
        Target error.
    ber_lower : float
        Estimated Bayes error.
    belief : float
        Share of bootstrap worlds in which the target is within reach.
    interval : (float, float)
        Interval of the Bayes error.
    needed : SamplesNeeded
        Extrapolated number of train rows.
    n_train, n_dev, n_classes, embeddings : int
        Size of the study.

    Returns
    -------
    tuple of str
        Sentences, the most useful first.

    Examples
    --------
    >>> advise(FeasibilityDecision.FEASIBLE_SURE, 0.1, ber_lower=0.01, belief=1.0, interval=(0.0, 0.05),
    ...        needed=SamplesNeeded(100, 100, 100, False), n_train=100, n_dev=50, n_classes=2, embeddings=1)
    ('Train now: a nearest-neighbour classifier alone reaches an accuracy of 90.0 %.',)
    """
    goal = f"an accuracy of {1.0 - tau:.1%}".replace("%", " %")
    if decision is FeasibilityDecision.FEASIBLE_SURE:
        return (f"Train now: a nearest-neighbour classifier alone reaches {goal}.",)
    if decision is FeasibilityDecision.FEASIBLE:
        return (
            f"Train: {goal} is believed possible ({belief:.0%} of the resampled development sets), "
            f"by a better model than the nearest neighbour; its own error is at most {interval[1]:.3f}.",
        )
    rows = _rows_sentence(needed, n_train)
    labels = _labels_sentence(tau, ber_lower, n_classes)
    if decision is FeasibilityDecision.INFEASIBLE:
        first = (
            f"Do not train yet: even the low end of the interval of the Bayes error ({interval[0]:.3f}) "
            f"is above the target error of {tau:.3f}, whatever the model."
        )
        return (first, *labels, *rows, "Add features that tell the classes apart, or lower the target.")
    return (
        f"Undecided: the Bayes error lies between {interval[0]:.3f} and {interval[1]:.3f}, the target error "
        f"of {tau:.3f} is inside; label more development rows (now {n_dev}) to narrow the interval.",
        f"Try further embeddings (so far {embeddings}): each can only lower the estimate.",
        *rows,
        *(labels if ber_lower > tau else ()),
    )


def _rows_sentence(needed: SamplesNeeded, n_train: int) -> tuple[str, ...]:
    if needed.n_hat <= n_train:
        return ()
    if needed.capped:
        return (
            f"More rows of the same kind will hardly help: the curve does not meet the target within "
            f"{needed.n_hat:,} train rows (now {n_train:,}).",
        )
    return (
        f"By its curve, {needed.n_hat - n_train:,} more train rows may be enough "
        f"(90 % interval: {needed.low - n_train:,} to {needed.high - n_train:,}).",
    )


def _labels_sentence(tau: float, ber_lower: float, n_classes: int) -> tuple[str, ...]:
    """If wrong labels were the whole of the error, say how many there are and may be."""
    chance = (n_classes - 1) / n_classes
    if tau >= chance:
        return ()
    now = noise_rate(0.0, min(ber_lower, chance), n_classes)
    allowed = noise_rate(0.0, tau, n_classes)
    return (
        f"Have labels checked: if label noise is the cause, about {now:.0%} of the labels are replaced by "
        f"random ones (convention uniform); at most {allowed:.0%} may be.",
    )
