"""Whether a target accuracy is within reach, told before any training.

Symbols
-------
F = embeddings, m = their number, P = prefixes, T = development rows, B = bootstrap worlds
e = 1NN error rates, (F, P); in worlds (B, F, P)
h = Cover-Hart values of e
a = decay exponents of the curves, (F,); in worlds (B, F)
tau = target error, 1 - target accuracy

The Cover-Hart value bounds the Bayes error from below only as train grows without end. With
finitely many rows a nearest-neighbour error, and so its Cover-Hart value, may lie above what
better models reach, most of all in many dimensions. The lower end of the interval is
therefore the smallest of three values over all embeddings: the Cover-Hart value of the
Clopper-Pearson limit at level alpha/m, the bootstrap quantile of the Cover-Hart value, and
the bootstrap quantile of the curve extrapolated to ten times the rows. The upper end is the
smallest Clopper-Pearson limit of a 1NN error, which needs no such care.

Measured on 118 studies of Gaussian mixtures with known Bayes error (2 to 50 dimensions, 500
and 2,000 train rows): the interval covers it in 108; the lower end without extrapolation
would lie above it in 34. The ten misses all have at least 25 dimensions of which only few
tell the classes apart, and all lie below the interval: there, INFEASIBLE may be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.embed import Embedding, as_features, as_labels, count_classes, embedding_named
from easeml_ray.embed.arrays import FloatArray, IntArray
from easeml_ray.errors import InvalidArgument, OneClass, TooFewRows
from easeml_ray.feasibility.advice import advise
from easeml_ray.feasibility.bounds import clopper_pearson, cover_hart_lower_bound
from easeml_ray.feasibility.curves import (
    CAP,
    bootstrap_errors,
    decay_exponents,
    extrapolate,
    prefixes,
    wrong_by_prefix,
)
from easeml_ray.feasibility.report import CurvePoint, FeasibilityDecision, FeasibilityReport, SamplesNeeded

__all__ = ["CLEAR_BELIEF", "CONFIDENCE", "default_embeddings", "study"]

CONFIDENCE = 0.90
"""Confidence of every interval of a report."""

CLEAR_BELIEF = 0.90
"""Share of bootstrap worlds that must agree before the answer is FEASIBLE."""

WORLDS = 1000


def default_embeddings(n_features: int) -> list[str]:
    """Return the names of the embeddings studied when none are named.

    Parameters
    ----------
    n_features : int
        Width of the features; a projection that would keep all of it is left out, as it
        only rotates.

    Returns
    -------
    list of str
        Names for :func:`easeml_ray.embed.embedding_named`.

    Examples
    --------
    >>> default_embeddings(10)
    ['raw', 'standardise', 'pca-8']
    """
    return ["raw", "standardise", *(f"pca-{k}" for k in (16, 8) if k < n_features)]


def study(
    X_train: ArrayLike,
    y_train: ArrayLike,
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    *,
    target_accuracy: float,
    embeddings: Sequence[str | Embedding] | None = None,
    n_classes: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> FeasibilityReport:
    """Estimate the Bayes error and compare it with a target.

    Labels are taken as they are: the Bayes error is that of the noisy labels of both sets,
    and so is the accuracy that the target speaks of.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Train features, at least two rows.
    y_train : array-like of int, shape (n_train,)
        Class codes, at least two classes.
    X_dev : array-like of shape (n_dev, n_features)
        Development features, at least two rows.
    y_dev : array-like of int, shape (n_dev,)
        Class codes. One that train lacks is allowed and counts as an error.
    target_accuracy : float
        Accuracy asked for, above 0 and at most 1.
    embeddings : sequence of str or Embedding, optional
        What to look at the features through; :func:`default_embeddings` if none are named.
    n_classes : int, optional
        Classes C; inferred from the codes by default.
    seed : int
        Of the order of the prefixes and of the bootstrap.
    progress : callable, optional
        Called as ``progress(done, total)`` after each step.

    Returns
    -------
    FeasibilityReport
        Decision, belief, interval, curves and advice.

    Raises
    ------
    TooFewRows
        If either set has fewer than two rows.
    OneClass
        If train has one class only.
    InvalidArgument
        If an array, the target, an embedding or `n_classes` is unusable.

    References
    ----------
    C. Renggli et al., "Ease.ML/Snoopy", ICDE 2023: the smallest Cover-Hart value over
    embeddings as the estimate. The interval and the grades are this library's own.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 400)
    >>> X = rng.standard_normal((400, 2)) + 6.0 * y[:, None]
    >>> report = study(X[:300], y[:300], X[300:], y[300:], target_accuracy=0.9)
    >>> report.decision.value
    'FEASIBLE_SURE'
    """
    X, y, Z, z, classes = _checked(X_train, y_train, X_dev, y_dev, n_classes)
    if not 0.0 < target_accuracy <= 1.0:
        raise InvalidArgument(
            f"target_accuracy is {target_accuracy}",
            hint="Give a share above 0 and at most 1, e.g. 0.9.",
            argument="target_accuracy",
        )
    chosen = _chosen(embeddings, X.shape[1])
    rng = np.random.default_rng(seed)
    sizes = prefixes(X.shape[0])
    order = rng.permutation(X.shape[0])
    wrong = np.empty((len(chosen), sizes.size, Z.shape[0]), dtype=np.bool_)
    total, done = wrong.shape[0] * wrong.shape[1], 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    for f, embedding in enumerate(chosen):
        fitted = embedding.fit(X)
        wrong[f] = wrong_by_prefix(
            fitted.transform(X), y, fitted.transform(Z), z,
            n_classes=classes, order=order, sizes=sizes, progress=step,
        )  # fmt: skip
    names = [embedding.name for embedding in chosen]
    worlds = bootstrap_errors(wrong, WORLDS, rng)
    return _report(names, wrong.sum(axis=2), worlds, sizes, Z.shape[0], classes, target_accuracy, seed)


def _report(
    names: list[str],
    errors: IntArray,
    worlds: FloatArray,
    sizes: IntArray,
    n_dev: int,
    classes: int,
    target_accuracy: float,
    seed: int,
) -> FeasibilityReport:
    """Turn error counts (F, P) and bootstrap error rates (B, F, P) into a report."""
    n, m = int(sizes[-1]), len(names)
    tau = round(1.0 - target_accuracy, 12)
    e = errors / n_dev
    h, h_worlds = cover_hart_lower_bound(e, classes), cover_hart_lower_bound(worlds[:, :, -1], classes)
    a, a_worlds = (decay_exponents(rates, sizes, n_dev, classes) for rates in (e, worlds))
    tails = ((1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0)

    limit_low, limit_high = clopper_pearson(errors[:, -1], n_dev, confidence=1.0 - (1.0 - CONFIDENCE) / m)
    smallest = np.quantile(h_worlds.min(axis=1), tails)
    capped = extrapolate(h_worlds, a_worlds, CAP)
    low = min(
        cover_hart_lower_bound(float(limit_low.min()), classes),
        float(smallest[0]),
        float(np.quantile(capped.min(axis=1), tails[0])),
    )
    high = float(limit_high.min())

    best = int(np.argmin(e[:, -1]))
    ber_lower, ber_upper = float(h[best, -1]), float(e[best, -1])
    belief = float((h_worlds.min(axis=1) <= tau).mean())
    at_cap = np.quantile(capped, tails[0], axis=0)
    converged = {name: bool(h[f, -1] <= tau or at_cap[f] > tau) for f, name in enumerate(names)}
    needed = _samples_needed(h[:, -1], a, h_worlds, a_worlds, n, tau, tails)
    decision = _decide(tau, ber_lower, low, high, belief)
    return FeasibilityReport(
        decision=decision,
        belief=belief,
        target_accuracy=float(target_accuracy),
        ber_lower=ber_lower,
        ber_upper=ber_upper,
        ber_interval=(low, high),
        ber_lower_interval=(float(smallest[0]), float(smallest[1])),
        curves={
            name: tuple(
                CurvePoint(int(size), int(count), float(value))
                for size, count, value in zip(sizes, errors[f], h[f], strict=True)
            )
            for f, name in enumerate(names)
        },
        converged=converged,
        samples_needed=needed,
        advice=advise(
            decision,
            tau,
            ber_lower=ber_lower,
            belief=belief,
            interval=(low, high),
            needed=needed,
            n_train=n,
            n_dev=n_dev,
            n_classes=classes,
            embeddings=m,
        ),
        best_embedding=names[best],
        n_train=n,
        n_dev=n_dev,
        n_classes=classes,
        method=(
            f"smallest Cover-Hart value of the 1NN error over {m} embedding(s); {CONFIDENCE:.0%} interval: "
            f"upper end Clopper-Pearson at alpha/{m} on the 1NN error; lower end the smallest of "
            f"Cover-Hart of the Clopper-Pearson limit at alpha/{m}, its bootstrap quantile "
            f"({WORLDS} resampled development sets, joint over embeddings), and that of the log-linear curve "
            f"extrapolated to {CAP} times the rows, because Cover-Hart is no lower bound at finite train "
            f"sizes"
        ),
        noise_convention="uniform",
        seed=seed,
    )


def _decide(tau: float, ber_lower: float, low: float, high: float, belief: float) -> FeasibilityDecision:
    if tau >= high:
        return FeasibilityDecision.FEASIBLE_SURE
    if tau >= ber_lower and belief >= CLEAR_BELIEF:
        return FeasibilityDecision.FEASIBLE
    # `low` covers the confidence limit and what ten times the rows would bring.
    if low > tau:
        return FeasibilityDecision.INFEASIBLE
    return FeasibilityDecision.UNDECIDED


def _samples_needed(
    h: FloatArray,
    a: FloatArray,
    h_worlds: FloatArray,
    a_worlds: FloatArray,
    n: int,
    tau: float,
    tails: tuple[float, float],
) -> SamplesNeeded:
    """Solve ``h (N/n)^-a = tau`` for N, over the embedding that gets there first."""

    def rows(values: FloatArray, exponents: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            factor = np.where(exponents > 0.0, (values / tau) ** (1.0 / exponents), np.inf)
        factor = np.where(values <= tau, 1.0, factor)
        soonest: FloatArray = np.minimum(factor, CAP).min(axis=-1)
        return soonest * n

    low, high = np.ceil(np.quantile(rows(h_worlds, a_worlds), tails)).astype(int).tolist()
    n_hat = int(np.ceil(rows(h, a)))
    # The estimate is not a quantile of the worlds and may fall outside a narrow interval.
    return SamplesNeeded(n_hat, min(low, n_hat), max(high, n_hat), n_hat >= CAP * n)


def _chosen(embeddings: Sequence[str | Embedding] | None, n_features: int) -> list[Embedding]:
    if embeddings is None:
        embeddings = default_embeddings(n_features)
    if not embeddings:
        raise InvalidArgument("no embedding is named", hint="Name one, e.g. raw.", argument="embeddings")
    chosen = [embedding_named(given) if isinstance(given, str) else given for given in embeddings]
    names = [embedding.name for embedding in chosen]
    if len(set(names)) != len(names):
        raise InvalidArgument(
            f"an embedding is named twice: {', '.join(names)}", hint="Name each once.", argument="embeddings"
        )
    return chosen


def _checked(
    X_train: ArrayLike, y_train: ArrayLike, X_dev: ArrayLike, y_dev: ArrayLike, n_classes: int | None
) -> tuple[FloatArray, IntArray, FloatArray, IntArray, int]:
    X = as_features(X_train, "X_train", min_rows=0)
    Z = as_features(X_dev, "X_dev", n_features=X.shape[1], min_rows=0)
    for rows, name in ((X.shape[0], "train"), (Z.shape[0], "development")):
        if rows < 2:
            raise TooFewRows(
                f"{name} has {rows} row(s); a study needs two", hint="Add rows.", required=2, available=rows
            )
    y = as_labels(y_train, "y_train", n_rows=X.shape[0])
    z = as_labels(y_dev, "y_dev", n_rows=Z.shape[0])
    classes = count_classes(n_classes, y, z)
    if np.unique(y).size < 2:
        raise OneClass(
            "all train rows have the same label", hint="Give rows of at least two classes.", rows=[]
        )
    return X, y, Z, z, classes
