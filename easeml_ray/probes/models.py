"""Classifiers trained to see how much of the error a model can remove.

Symbols
-------
X = standardised train features, (n, d);  y = class codes, (n,);  C = classes
Z = standardised development features, (T, d)
P = class probabilities of the development rows, (T, C)

The error of any fixed classifier on fresh rows bounds the Bayes error from above. The probes
differ in what they can bend to: a plane, an ellipsoid, a smooth surface at three scales, the
nearest rows, boxes. Each is quick at a few thousand rows; none is tuned on development rows.

References
----------
Learning curves of cheap classifiers as a test of feasibility: C. Renggli et al., "Ease.ML/Snoopy",
ICDE 2023 (there one linear probe is the baseline).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed import embedding_named
from easeml_ray.neighbors.neighbors import NearestNeighbors, vote

__all__ = ["MAX_PROBE_ROWS", "PROBES", "Probe", "predictions", "probe_view"]

MAX_PROBE_ROWS = 20_000
"""Probes are fitted on at most so many train rows, a random part of more."""

MAX_PROBE_FEATURES = 64
"""Wider features are projected onto so many principal components first."""

FARTHEST = 1e15
"""Standard deviations beyond which development rows are cut: models square and compare in float32."""

NEIGHBORS = (1, 5, 15, 45)
LANDMARKS = 300
SCALES = (0.5, 2.0, 8.0)

Fit = Callable[[FloatArray, IntArray, FloatArray, int], dict[str, FloatArray]]


@dataclass(frozen=True, slots=True)
class Probe:
    """One family of classifiers."""

    members: tuple[str, ...]
    fit: Fit
    most_classes: int = 10_000


def floored(P: FloatArray, rows: int) -> FloatArray:
    """Mix probabilities with the uniform ones, as if each class had been seen once more in `rows`."""
    share = P.shape[1] / (rows + P.shape[1])
    mixed: FloatArray = (1.0 - share) * P + share / P.shape[1]
    return mixed


def _spread(P: FloatArray, classes: IntArray, n_classes: int, rows: int) -> FloatArray:
    """Return the probabilities of a model that knows only the classes of its train rows."""
    whole = np.zeros((P.shape[0], n_classes))
    whole[:, classes] = P
    return floored(whole, rows)


def _linear(X: FloatArray, y: IntArray, Z: FloatArray, C: int) -> dict[str, FloatArray]:
    from sklearn.linear_model import LogisticRegression

    found = {}
    for name, strength in (("linear", 1.0), ("linear-strong", 0.02)):
        model = LogisticRegression(C=strength, max_iter=300).fit(X, y)
        found[name] = _spread(model.predict_proba(Z), model.classes_, C, len(X))
    return found


def _quadratic(X: FloatArray, y: IntArray, Z: FloatArray, C: int) -> dict[str, FloatArray]:
    """Fit a normal a class, its covariance drawn towards the pooled one where rows are few."""
    n, d = X.shape
    counts = np.bincount(y, minlength=C)
    means = np.stack([X[y == c].mean(axis=0) if counts[c] else np.zeros(d) for c in range(C)])
    centred = X - means[y]
    pooled = centred.T @ centred / n
    pooled[np.diag_indices(d)] += 1e-6 * max(np.trace(pooled) / d, 1e-12)
    logits = np.full((len(Z), C), -np.inf)
    for c in np.flatnonzero(counts):
        own = centred[y == c]
        # As if d + 2 rows of the pooled covariance had been seen in every class.
        drawn = (d + 2) / (counts[c] + d + 2)
        sigma = (1.0 - drawn) * (own.T @ own) / counts[c] + drawn * pooled
        sigma[np.diag_indices(d)] += 1e-4
        root = np.linalg.cholesky(sigma)
        white = np.linalg.solve(root, (Z - means[c]).T)
        logits[:, c] = np.log(counts[c] / n) - np.log(np.diag(root)).sum() - 0.5 * (white**2).sum(axis=0)
    P = np.exp(logits - logits.max(axis=1, keepdims=True))
    return {"quadratic": floored(P / P.sum(axis=1, keepdims=True), n)}


def _kernel(X: FloatArray, y: IntArray, Z: FloatArray, C: int) -> dict[str, FloatArray]:
    """Fit linear models on radial basis functions around random train rows, at three widths."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression

    sample = X[np.random.default_rng(0).permutation(len(X))[:LANDMARKS]]
    square = ((sample[:, None] - sample[None]) ** 2).sum(axis=2)
    median = float(np.median(square[square > 0.0])) if (square > 0.0).any() else 1.0
    found = {}
    for scale in SCALES:
        basis = Nystroem(gamma=scale / median, n_components=min(LANDMARKS, len(X)), random_state=0).fit(X)
        model = LogisticRegression(C=10.0, max_iter=200).fit(basis.transform(X), y)
        found[f"kernel-{scale:g}"] = _spread(
            model.predict_proba(basis.transform(Z)), model.classes_, C, len(X)
        )
    return found


def _neighbors(X: FloatArray, y: IntArray, Z: FloatArray, C: int) -> dict[str, FloatArray]:
    voters = [min(k, len(X)) for k in NEIGHBORS]
    nearest = NearestNeighbors(Z, k=max(voters)).append(X).nearest
    shares = vote(nearest, y, C, voters).shares
    return {f"neighbors-{k}": floored(P, v) for k, v, P in zip(NEIGHBORS, voters, shares, strict=True)}


def _forest(X: FloatArray, y: IntArray, Z: FloatArray, C: int) -> dict[str, FloatArray]:
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(100, min_samples_leaf=3, random_state=0).fit(X, y)
    return {"forest": _spread(model.predict_proba(Z), model.classes_, C, len(X))}


def _boosted(X: FloatArray, y: IntArray, Z: FloatArray, C: int) -> dict[str, FloatArray]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=15, l2_regularization=1.0, early_stopping=False, random_state=0
    ).fit(X, y)
    return {"boosted": _spread(model.predict_proba(Z), model.classes_, C, len(X))}


PROBES: dict[str, Probe] = {
    "linear": Probe(("linear", "linear-strong"), _linear),
    "quadratic": Probe(("quadratic",), _quadratic),
    "kernel": Probe(tuple(f"kernel-{scale:g}" for scale in SCALES), _kernel),
    "neighbors": Probe(tuple(f"neighbors-{k}" for k in NEIGHBORS), _neighbors),
    "forest": Probe(("forest",), _forest),
    "boosted": Probe(("boosted",), _boosted, most_classes=30),
}
"""The probes that a study trains, by name."""


def predictions(
    name: str, X: FloatArray, y: IntArray, span: tuple[int, int], Z: FloatArray, n_classes: int
) -> dict[str, FloatArray]:
    """Train a probe on the rows of `span` (the first, one past the last) and return its members' predictions.

    X (n, d) and y (n,) are of train, Z (T, d) is to be predicted; `name` is a key of :data:`PROBES`. By
    member (T, C), positive probabilities; empty where the probe is left out.
    """
    probe = PROBES[name]
    if n_classes > probe.most_classes:
        return {}
    rows = slice(*span)
    seen = np.bincount(y[rows], minlength=n_classes)
    if np.count_nonzero(seen) < 2:
        # Half of very few rows may hold one class only: there is nothing to tell apart.
        guess = floored(np.tile(seen / max(seen.sum(), 1), (len(Z), 1)), int(seen.sum()))
        return dict.fromkeys(probe.members, guess)
    with warnings.catch_warnings():
        # A probe that has not converged is a weaker one, which its errors show.
        warnings.simplefilter("ignore")
        return probe.fit(X[rows], y[rows], Z, n_classes)


def probe_view(X: FloatArray, dev: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what probes look at: standardised features, their leading components if they are many.

    Both are fitted on train: (n, k) and (T, k) with k at most :data:`MAX_PROBE_FEATURES`.
    """
    wide = X.shape[1] > MAX_PROBE_FEATURES
    fitted = embedding_named(f"pca-{MAX_PROBE_FEATURES}" if wide else "standardise").fit(X)
    # A strange development row is far from all of train, however far it is.
    return fitted.transform(X), np.clip(fitted.transform(dev), -FARTHEST, FARTHEST)
