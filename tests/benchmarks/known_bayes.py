"""Classification problems whose Bayes error is known: what intervals are calibrated and judged on.

Symbols
-------
C = classes, d = features, N = rows
P = posterior class probabilities of a row before label noise, (N, C)
rho = noise rate, convention ``uniform``: a label is replaced by any class
b = Bayes error with respect to the noisy labels, E[1 - max P] + rho (1 - 1/C - E[1 - max P])

E[1 - max P] is a closed form where there is one, else the mean over 60,000 fresh rows (or over
every row of the pool, for the semi-synthetic families, where it is exact).

Families (``linear``: the Bayes rule is linear in the features):
line, simplex, cube   identity-covariance mixtures (linear)
covariance            mixtures whose covariances differ by class
modes                 several Gaussian components a class
checkerboard          coloured cells in the plane, and features that say nothing
rings                 spheres around one centre, with radial spread
spirals               arms in the plane with normal spread along them, and features that say nothing
patches               cells of random centres, each of one colour
boxes                 leaves of a random tree of axis-parallel cuts, each with its class probabilities
heavy_tails           Student mixtures with 1.5 to 3 degrees of freedom and unequal scales
smooth                a random smooth logit, on Gaussian rows
teacher_network       real features, labels drawn from a small neural network
teacher_forest        real features, labels drawn from a forest
"""

from __future__ import annotations

import json
import math
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MONTE_CARLO_ROWS = 60_000


@dataclass(frozen=True)
class Problem:
    """Rows of a problem, its Bayes error and where it comes from."""

    family: str
    n_train: int
    n_classes: int
    n_features: int
    noise: float
    X_train: FloatArray
    y_train: IntArray
    X_dev: FloatArray
    y_dev: IntArray
    ber: float


Sampler = Callable[[np.random.Generator, int], tuple[FloatArray, FloatArray]]
"""Returns rows (N, d) and their class probabilities (N, C)."""


def softmax(logits: FloatArray) -> FloatArray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def rotation(rng: np.random.Generator, d: int) -> FloatArray:
    return np.linalg.qr(rng.standard_normal((d, d)))[0]


def identity_mixture(means: FloatArray) -> Sampler:
    C, d = means.shape

    def sample(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        X = means[rng.integers(0, C, n)] + rng.standard_normal((n, d))
        return X, softmax(X @ means.T - 0.5 * (means**2).sum(axis=1))

    return sample


def line(rng: np.random.Generator, C: int, d: int) -> Sampler:
    means = np.zeros((C, d))
    means[:, 0] = rng.uniform(1.0, 4.0) * (np.arange(C) - (C - 1) / 2)
    return identity_mixture(means @ rotation(rng, d))


def simplex(rng: np.random.Generator, C: int, d: int) -> Sampler:
    d = max(C, d)
    means = np.eye(C, d) * rng.uniform(1.5, 5.0) / math.sqrt(2.0)
    return identity_mixture(means @ rotation(rng, d))


def cube(rng: np.random.Generator, C: int, d: int) -> Sampler:
    bits = max(1, round(math.log2(C)))
    d = max(d, bits)
    means = np.zeros((2**bits, d))
    means[:, :bits] = (((np.arange(2**bits)[:, None] >> np.arange(bits)) & 1) - 0.5) * rng.uniform(1.5, 4.0)
    return identity_mixture(means @ rotation(rng, d))


def normal_mixture(means: FloatArray, roots: FloatArray, owner: IntArray, C: int) -> Sampler:
    """Mix normals N(means[j], roots[j] roots[j]') of equal weight; component j belongs to a class."""
    inverses = np.linalg.inv(roots)
    log_det = np.log(np.abs(np.linalg.det(roots)))
    K, d = means.shape

    def sample(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        j = rng.integers(0, K, n)
        X = rng.standard_normal((n, d))
        for c in range(K):
            X[j == c] = X[j == c] @ roots[c].T + means[c]
        log_density = np.stack(
            [-0.5 * (((X - means[c]) @ inverses[c].T) ** 2).sum(axis=1) - log_det[c] for c in range(K)],
            axis=1,
        )
        share = softmax(log_density)
        P = np.zeros((n, C))
        for component, c in enumerate(owner):
            P[:, c] += share[:, component]
        return X, P

    return sample


def covariance(rng: np.random.Generator, C: int, d: int) -> Sampler:
    means = rng.standard_normal((C, d)) * rng.uniform(0.0, 2.0) / math.sqrt(d)
    spread = rng.uniform(0.2, 0.8) / math.sqrt(max(1.0, d / 8))
    roots = np.stack(
        [rotation(rng, d) * np.exp(spread * rng.standard_normal(d)) @ rotation(rng, d) for _ in range(C)]
    )
    return normal_mixture(means, roots, np.arange(C), C)


def modes(rng: np.random.Generator, C: int, d: int) -> Sampler:
    each = int(rng.integers(2, 5))
    informative = min(d, int(rng.integers(2, 6)))
    means = np.zeros((C * each, d))
    means[:, :informative] = rng.standard_normal((C * each, informative)) * rng.uniform(1.5, 4.0)
    turn = rotation(rng, d)
    roots = np.repeat(np.eye(d)[None], C * each, axis=0)
    return normal_mixture(means @ turn, roots, np.repeat(np.arange(C), each), C)


def checkerboard(rng: np.random.Generator, C: int, d: int) -> Sampler:
    C = min(C, 4)
    cells, silent = int(rng.integers(2, 6)), min(max(0, d - 2), int(rng.integers(0, 7)))
    angle = rng.uniform(0.0, math.pi / 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def sample(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        plane = rng.uniform(0.0, cells, (n, 2))
        colour = np.floor(plane).astype(int).sum(axis=1) % C
        X = np.hstack([(plane - cells / 2) @ turn, rng.standard_normal((n, silent))])
        return X, np.eye(C)[colour]

    return sample


def rings(rng: np.random.Generator, C: int, d: int) -> Sampler:
    C, d = min(C, 6), min(d, 12)
    radius = 2.0 + np.arange(C) * rng.uniform(1.0, 2.0)
    sigma = rng.uniform(0.2, 0.7)

    def sample(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        c = rng.integers(0, C, n)
        direction = rng.standard_normal((n, d))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        # The density of |r| folded at 0; with radii of at least 2 folding is below 1e-2 and kept.
        r = np.abs(radius[c] + sigma * rng.standard_normal(n))
        z, zf = (r[:, None] - radius) / sigma, (r[:, None] + radius) / sigma
        return direction * r[:, None], softmax(np.logaddexp(-0.5 * z**2, -0.5 * zf**2))

    return sample


def spirals(rng: np.random.Generator, C: int, d: int) -> Sampler:
    C = min(C, 4)
    turns, sigma = rng.uniform(0.5, 1.5), rng.uniform(0.1, 0.4)
    silent = min(max(0, d - 2), int(rng.integers(0, 5)))
    # An arm is the sum of normals along it, so that the posterior is exact.
    t = np.linspace(0.1, 1.0, 80)
    angle = 2.0 * math.pi * turns * t[None, :] + 2.0 * math.pi * np.arange(C)[:, None] / C
    knots = 3.0 * t[None, :, None] * np.stack([np.cos(angle), np.sin(angle)], axis=2)

    def sample(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        plane = knots[rng.integers(0, C, n), rng.integers(0, t.size, n)] + sigma * rng.standard_normal((n, 2))
        P = np.empty((n, C))
        for c in range(C):
            square = (plane**2).sum(axis=1)[:, None] + (knots[c] ** 2).sum(axis=1) - 2.0 * plane @ knots[c].T
            P[:, c] = np.exp(-0.5 * np.maximum(square, 0.0) / sigma**2).sum(axis=1) + 1e-300
        return np.hstack([plane, rng.standard_normal((n, silent))]), P / P.sum(axis=1, keepdims=True)

    return sample


def patches(rng: np.random.Generator, C: int, d: int) -> Sampler:
    seen = min(d, int(rng.integers(2, 4)))
    silent = min(d - seen, int(rng.integers(0, 4)))
    centres = rng.uniform(-1.0, 1.0, (int(rng.integers(2, 6)) * C, seen))
    colour = np.arange(len(centres)) % C

    def sample(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        X = rng.uniform(-1.0, 1.0, (n, seen))
        square = (centres**2).sum(axis=1) - 2.0 * X @ centres.T
        return np.hstack([X, rng.standard_normal((n, silent))]), np.eye(C)[colour[square.argmin(axis=1)]]

    return sample


def boxes(rng: np.random.Generator, C: int, d: int) -> Sampler:
    depth = int(rng.integers(2, 6))
    cut_on = rng.integers(0, min(d, 8), 2**depth - 1)
    cut_at = rng.uniform(0.3, 0.7, 2**depth - 1)
    leaves = rng.dirichlet(np.full(C, rng.uniform(0.05, 0.5)), 2**depth)

    def sample(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        X = rng.random((n, d))
        node = np.zeros(n, dtype=np.int64)
        for _ in range(depth):
            node = 2 * node + 1 + (X[np.arange(n), cut_on[node]] > cut_at[node])
        return X, leaves[node - (2**depth - 1)]

    return sample


def heavy_tails(rng: np.random.Generator, C: int, d: int) -> Sampler:
    nu = rng.uniform(1.5, 3.0)
    means = rng.standard_normal((C, d)) * rng.uniform(1.0, 4.0) / math.sqrt(d) * math.sqrt(2.0)
    scales = np.exp(0.5 * rng.standard_normal((C, d)) / math.sqrt(max(1.0, d / 8)))

    def sample(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        c = rng.integers(0, C, n)
        tail = np.sqrt(nu / rng.chisquare(nu, n))
        X = means[c] + scales[c] * rng.standard_normal((n, d)) * tail[:, None]
        log_density = np.stack(
            [
                -0.5 * (nu + d) * np.log1p((((X - means[k]) / scales[k]) ** 2).sum(axis=1) / nu)
                - np.log(scales[k]).sum()
                for k in range(C)
            ],
            axis=1,
        )
        return X, softmax(log_density)

    return sample


def smooth(rng: np.random.Generator, C: int, d: int) -> Sampler:
    waves, informative = 30, min(d, int(rng.integers(2, 7)))
    W = np.zeros((d, waves))
    W[:informative] = (
        rng.standard_normal((informative, waves)) * rng.uniform(0.5, 1.5) / math.sqrt(informative)
    )
    phase = rng.uniform(0.0, 2.0 * math.pi, waves)
    V = rng.standard_normal((waves, C)) * rng.uniform(3.0, 10.0) * math.sqrt(2.0 / waves)

    def sample(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        X = rng.standard_normal((n, d))
        return X, softmax(np.cos(X @ W + phase) @ V)

    return sample


SYNTHETIC: dict[str, Callable[[np.random.Generator, int, int], Sampler]] = {
    "line": line,
    "simplex": simplex,
    "cube": cube,
    "covariance": covariance,
    "modes": modes,
    "checkerboard": checkerboard,
    "rings": rings,
    "spirals": spirals,
    "patches": patches,
    "boxes": boxes,
    "heavy_tails": heavy_tails,
    "smooth": smooth,
}
TEACHERS = ("teacher_network", "teacher_forest")
FAMILIES = (*SYNTHETIC, *TEACHERS)


@lru_cache(maxsize=16)
def teacher(family: str, dataset: str, n_classes: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return the rows of a real data set and the class probabilities of a teacher fitted to it.

    The data set's classes are merged at random into `n_classes` where it has more.
    """
    from real_data import features_and_labels
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    X, y = features_and_labels(dataset)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(X))[:12_000]
    X, y = StandardScaler().fit_transform(X[rows]), y[rows]
    own = int(y.max()) + 1
    if own > n_classes:
        y = rng.permutation(np.arange(own) % n_classes)[y]
    fit = rng.permutation(len(X))[:3000]
    if family == "teacher_network":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sixty epochs are what the teacher is, converged or not
            model = MLPClassifier((32, 32), max_iter=60, random_state=seed).fit(X[fit], y[fit])
        P = model.predict_proba(X)
        # A network that is sure of everything would leave no Bayes error: soften it.
        P = softmax(np.log(np.maximum(P, 1e-12)) / rng.uniform(2.0, 6.0))
    else:
        model = RandomForestClassifier(40, max_depth=int(rng.integers(4, 9)), random_state=seed)
        P = softmax(np.log(model.fit(X[fit], y[fit]).predict_proba(X) + 1e-3) * rng.uniform(1.0, 3.0))
    return X, P


def draw(rng: np.random.Generator, P: FloatArray, noise: float) -> IntArray:
    """Draw labels from class probabilities, then replace a share by uniform ones."""
    y = (rng.random((len(P), 1)) > np.cumsum(P, axis=1)[:, :-1]).sum(axis=1)
    return np.where(rng.random(len(P)) < noise, rng.integers(0, P.shape[1], len(P)), y).astype(np.int64)


def problem(family: str, n_train: int, n_classes: int, n_features: int, noise: float, seed: int) -> Problem:
    """Make one problem; the same arguments give the same one.

    Parameters
    ----------
    family : str
        One of :data:`FAMILIES`.
    n_train : int
        Train rows; half as many development rows, at least 100.
    n_classes, n_features : int
        Wished for; a family that has no such problem takes the nearest.
    noise : float
        Noise rate rho, convention ``uniform``.
    seed : int
        Of everything random.
    """
    rng = np.random.default_rng([zlib.crc32(family.encode()), n_train, n_classes, n_features, seed])
    n_dev = max(100, n_train // 2)
    rows = n_train + n_dev
    if family in SYNTHETIC:
        sample = SYNTHETIC[family](rng, n_classes, n_features)
        X, P = sample(rng, rows)
        clean = float((1.0 - sample(rng, MONTE_CARLO_ROWS)[1].max(axis=1)).mean())
    else:
        from real_data import TEACHABLE

        names = [n for n, size in TEACHABLE.items() if size >= rows]
        everything, posterior = teacher(
            family, names[int(rng.integers(len(names)))], n_classes, int(rng.integers(3))
        )
        # A draw without replacement: every row of the pool is as likely in either part.
        chosen = rng.permutation(len(everything))[:rows]
        X, P = everything[chosen], posterior[chosen]
        clean = float((1.0 - posterior.max(axis=1)).mean())
    C = P.shape[1]
    y = draw(rng, P, noise)
    cut, end = n_train, n_train + n_dev
    return Problem(
        family, n_train, C, X.shape[1], noise, X[:cut], y[:cut], X[cut:end], y[cut:end],
        clean + noise * (1.0 - 1.0 / C - clean),
    )  # fmt: skip


MIXTURES = "gmm_known_ber"


def mixture_cases() -> list[dict]:
    """Return the identity-covariance mixtures of tests/data, with their analytic Bayes errors."""
    path = Path(__file__).parents[1] / "data" / f"{MIXTURES}.json"
    cases: list[dict] = json.loads(path.read_text())["cases"]
    return cases


def mixture_grid() -> list[tuple]:
    """Return names and arguments of :func:`mixture`: every case once, rows and noise in turn."""
    return [
        (MIXTURES, (500, 1000, 4000)[i % 3], i, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)[i % 6])
        for i in range(len(mixture_cases()))
    ]


def mixture(number: int, n_train: int, noise: float) -> Problem:
    """Make the problem of one case: its own rows, its labels with noise."""
    case = mixture_cases()[number]
    C, d, delta = case["classes"], case["dim"], case["delta"]
    means = np.zeros((C, d))
    if case["family"].startswith("line"):
        means[:, 0] = delta * (np.arange(C) - (C - 1) / 2)
    elif case["family"] == "simplex":
        means[np.arange(C), np.arange(C)] = delta / math.sqrt(2.0)
    else:
        bits = int(math.log2(C))
        means[:, :bits] = (((np.arange(C)[:, None] >> np.arange(bits)) & 1) - 0.5) * delta
    rng = np.random.default_rng(case["seed"])
    priors = case.get("priors")
    y = rng.integers(0, C, 6000) if priors is None else rng.choice(C, size=6000, p=priors)
    X = rng.standard_normal((6000, d)) + means[y]
    y = draw(rng, np.eye(C)[y], noise)
    dev, train = slice(0, max(100, n_train // 2)), slice(2000, 2000 + n_train)
    ber = case["ber_uniform_noise"][f"{noise:g}"]
    return Problem(MIXTURES, n_train, C, d, noise, X[train], y[train], X[dev], y[dev], ber)


def grid(
    n_train: int, per_family: int, *, families: tuple[str, ...] = FAMILIES, seed: int = 0
) -> list[tuple]:
    """Return arguments of :func:`problem`: classes 2 to 10, features 2 to 50, noise 0 to 0.5."""
    wanted = []
    for family in families:
        rng = np.random.default_rng([zlib.crc32(family.encode()), n_train, seed])
        for i in range(per_family):
            C = int(rng.choice([2, 2, 3, 4, 6, 10]))
            d = int(rng.choice([2, 3, 5, 10, 20, 50]))
            noise = float(rng.choice([0.0, 0.0, 0.1, 0.2, 0.3, 0.5]))
            wanted.append((family, n_train, C, d, noise, 1000 * seed + i))
    return wanted
