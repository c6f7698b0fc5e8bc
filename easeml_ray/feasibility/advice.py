"""What a person should do about a feasibility decision, with numbers and in sentences."""

from __future__ import annotations

from easeml_ray.feasibility.bounds import noise_rate
from easeml_ray.feasibility.calibration import BayesBelief
from easeml_ray.feasibility.report import Advice, FeasibilityDecision, SamplesNeeded, Step
from easeml_ray.messages import Gain

__all__ = ["advise"]


def advise(
    decision: FeasibilityDecision,
    tau: float,
    *,
    belief: BayesBelief,
    best_limit: float,
    model_error: float,
    needed: SamplesNeeded,
    settled: bool,
    n_train: int,
    n_dev: int,
    n_classes: int,
    embeddings: int,
) -> tuple[Advice, ...]:
    """Say what to do next."""
    goal = f"an accuracy of {_percent(1.0 - tau, 1)}"
    if decision is FeasibilityDecision.FEASIBLE_SURE:
        sentence = f"Train now: a classifier that was trained for this study reaches {goal}."
        return (Advice(Step.TRAIN, sentence),)
    rows = _rows(tau, belief, model_error, needed, n_train)
    labels = _labels(tau, belief, n_classes)
    if decision is FeasibilityDecision.FEASIBLE:
        sentence = (
            f"Train: {goal} is possible; the Bayes error is at most {belief.high:.3f} with 95 % "
            f"confidence. The quick models of this study err on {model_error:.3f}."
        )
        return (Advice(Step.TRAIN, sentence), *rows)
    lower = _lower_target(belief)
    if decision is FeasibilityDecision.INFEASIBLE:
        first = (
            f"Do not train yet: no model is expected to reach {goal}; even the low end of the Bayes "
            f"error is {belief.low:.3f}."
        )
        return (
            *(_led(first, labels) or (Advice(Step.CLEAN_LABELS, first),)),
            Advice(
                Step.TRY_EMBEDDINGS,
                f"Add features, or embeddings (so far {embeddings}), that tell the classes apart.",
            ),
            *lower,
        )
    return (
        *rows,
        Advice(
            Step.LABEL_DEVELOPMENT,
            f"Undecided: the Bayes error lies between {belief.low:.3f} and {belief.high:.3f}, and the target "
            f"error of {tau:.3f} {'is inside' if settled else 'may be met as the curve falls'}; label more "
            f"development rows (now {n_dev}) to narrow the interval.",
            amount=(float(n_dev), 2.0 * n_dev, 4.0 * n_dev),
        ),
        *(labels if belief.median > tau else ()),
        Advice(
            Step.TRY_EMBEDDINGS,
            f"Try further embeddings (so far {embeddings}); each can only lower the estimate.",
        ),
        *(lower if belief.median > tau else ()),
    )


def _led(first: str, rest: tuple[Advice, ...]) -> tuple[Advice, ...]:
    """Put a sentence before the first of some advice."""
    return tuple(
        Advice(a.step, f"{first} {a.sentence}" if i == 0 else a.sentence, a.amount, a.gain)
        for i, a in enumerate(rest)
    )


def _rows(
    tau: float, belief: BayesBelief, model_error: float, needed: SamplesNeeded, n_train: int
) -> tuple[Advice, ...]:
    if needed.n_hat <= n_train:
        return ()
    # More rows bring a model's error down to the Bayes error at most, and no further than asked.
    gain = Gain(
        mean=max(0.0, model_error - max(tau, belief.median)),
        lower=0.0,
        upper=max(0.0, model_error - max(tau, belief.low)),
    )
    if needed.capped:
        sentence = (
            f"More rows of the same kind alone will hardly do: by its curve a model does not meet the "
            f"target within {needed.n_hat:,} train rows (now {n_train:,})."
        )
        return (Advice(Step.ACQUIRE, sentence, gain=gain),)
    amount = tuple(float(rows - n_train) for rows in (needed.low, needed.n_hat, needed.high))
    sentence = (
        f"About {needed.n_hat - n_train:,} more train rows may be enough for a model to meet the target "
        f"(90 % interval: {needed.low - n_train:,} to {needed.high - n_train:,})."
    )
    return (Advice(Step.ACQUIRE, sentence, (amount[0], amount[1], amount[2]), gain),)


def _labels(tau: float, belief: BayesBelief, n_classes: int) -> tuple[Advice, ...]:
    """If wrong labels were the whole of the error, say how many there are and may be."""
    chance = (n_classes - 1) / n_classes
    if tau >= chance:
        return ()
    now = [noise_rate(0.0, min(b, chance), n_classes) for b in (belief.low, belief.median, belief.high)]
    allowed = noise_rate(0.0, tau, n_classes)
    sentence = (
        f"Have labels checked: if label noise is the cause, {_percent(now[0])} to {_percent(now[2])} of the "
        f"labels are replaced by random ones (convention uniform); at most {_percent(allowed)} may be."
    )
    gain = Gain(mean=max(0.0, belief.median - tau), lower=0.0, upper=max(0.0, belief.high - tau))
    return (Advice(Step.CLEAN_LABELS, sentence, (0.0, allowed, allowed), gain),)


def _lower_target(belief: BayesBelief) -> tuple[Advice, ...]:
    likely, sure = 1.0 - belief.median, 1.0 - belief.high
    sentence = (
        (f"Or lower the target: {likely:.1%} is as likely possible as not, {sure:.1%} with 95 % confidence.")
        .replace("%", " %")
        .replace("95  %", "95 %")
    )
    return (Advice(Step.LOWER_TARGET, sentence, (sure, likely, 1.0 - belief.low)),)


def _percent(share: float, digits: int = 0) -> str:
    return f"{100.0 * share:.{digits}f} %"
