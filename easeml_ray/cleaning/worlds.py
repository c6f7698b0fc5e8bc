"""What development accuracy to believe in: bounds, expectation, spread, good worlds.

Symbols
-------
N, M, V = rows, alternatives, development points
prior = present probability of each alternative, (M,)
p_v = probability that point v is predicted correctly; acc = mean_v p_v
acc[a] = expected development accuracy given that alternative a's row is a
world = one alternative a row, by position, (N,)

References
----------
.. [1] B. Karlas et al., "Nearest Neighbor Classifiers over Incomplete Information: From
   Certain Answers to Certain Predictions", VLDB 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.cleaning.alternatives import Alternatives
from easeml_ray.cleaning.knowledge import Knowledge
from easeml_ray.cleaning.pointwise import PROBABILITY, outcomes, world_hits
from easeml_ray.cleaning.ranking import RankedPoints

__all__ = [
    "CleaningBelief",
    "believe",
    "best_world",
    "cross_fitted_potential",
    "most_probable_world",
    "sample_worlds",
]

NEGLIGIBLE = 1e-12
SAMPLED_WORLDS = 256


@dataclass(frozen=True, slots=True)
class CleaningBelief:
    """What development accuracy a k-nearest-neighbour vote has over all possible worlds.

    Attributes
    ----------
    lower, upper : float
        Every world's accuracy lies between; loose, since no one world need reach either.
    expected : float
        Mean over worlds by their probability, exact.
    potential : float
        Cross-fitted accuracy of a good world: chosen on one half of the development points,
        scored on the other, both ways. The raw maximum over worlds is fitted to the labels that
        it is scored on, and is never reported.
    sd : float
        Standard deviation of the accuracy over sampled worlds.
    n_certain_correct, n_certain_wrong, n_uncertain : int
        Development points by what all worlds say of them.
    default : float
        Accuracy in the most probable world, which is what training on the data as it is gives.
    sampled : tuple of float
        Accuracy in each of some worlds drawn by their probability, ascending.
    """

    lower: float
    upper: float
    expected: float
    potential: float
    sd: float
    n_certain_correct: int
    n_certain_wrong: int
    n_uncertain: int
    default: float
    sampled: tuple[float, ...] = field(default=(), repr=False)

    @property
    def n_points(self) -> int:
        """Number of development points."""
        return self.n_certain_correct + self.n_certain_wrong + self.n_uncertain

    def probability_at_least(self, target: float) -> float:
        """Probability that the cleaned data reach an accuracy (0 to 1), if the alternatives are as believed.

        Exactly 1 or 0 where all worlds agree. Otherwise the rule of succession over the sampled worlds: a
        world that was not drawn is not impossible.
        """
        if self.lower >= target:
            return 1.0
        if self.upper < target:
            return 0.0
        hits = sum(accuracy >= target for accuracy in self.sampled)
        return (hits + 1) / (len(self.sampled) + 2)


def believe(known: Knowledge, *, seed: int = 0) -> CleaningBelief:
    """State what accuracy the points have over all worlds."""
    known.find(PROBABILITY)
    ranked, prior = known.ranked, known.prior
    rng = np.random.default_rng(seed)
    every = np.arange(ranked.n_points)
    certain = known.possible.sum(axis=1) == 1
    hit_possible = known.possible[every, ranked.y]
    potential = cross_fitted_potential(ranked, prior, np.flatnonzero(certain), np.flatnonzero(~certain), rng)
    worlds = sample_worlds(ranked.rows, prior, SAMPLED_WORLDS, rng)
    sampled = np.sort(world_hits(ranked, worlds, every).mean(axis=1))
    default = most_probable_world(ranked.rows, prior)[None]
    return CleaningBelief(
        lower=float((certain & hit_possible).mean()),
        upper=float(hit_possible.mean()),
        expected=float(known.probabilities[every, ranked.y].mean()),
        potential=potential,
        sd=float(sampled.std()),
        n_certain_correct=int((certain & hit_possible).sum()),
        n_certain_wrong=int((certain & ~hit_possible).sum()),
        n_uncertain=int((~certain).sum()),
        default=float(world_hits(ranked, default, every).mean()),
        sampled=tuple(sampled.tolist()),
    )


def most_probable_world(rows: Alternatives, prior: FloatArray) -> IntArray:
    """Return each row's most probable alternative, ties to the first, (N,)."""
    return _first_largest(prior, rows.row_ptr)


def sample_worlds(rows: Alternatives, prior: FloatArray, n_worlds: int, rng: np.random.Generator) -> IntArray:
    """Draw worlds by their probability, (n_worlds, N)."""
    # The largest of log p + Gumbel noise is alternative a with probability p_a.
    with np.errstate(divide="ignore"):
        scores = np.log(prior) + rng.gumbel(size=(n_worlds, len(prior)))
    return np.stack([_first_largest(score, rows.row_ptr) for score in scores])


def best_world(ranked: RankedPoints, prior: FloatArray, points: IntArray) -> IntArray:
    """Choose a world, (N,), that predicts the given points well, by conditional expectations."""
    # Each round fixes, to its best alternative, the half of the rows that promise most given the rows fixed
    # before. The result is never worse on the points than the most probable world, but no bound.
    row_ptr, now = ranked.rows.row_ptr, prior.copy()
    while True:
        given = np.nan_to_num(outcomes(ranked, now, points), nan=-1.0)
        best = _first_largest(given, row_ptr)
        promise = given[best] - np.add.reduceat(now * given, row_ptr[:-1])
        rising = np.flatnonzero(promise > NEGLIGIBLE * max(1, len(points)))
        if not rising.size:
            break
        order = rising[np.argsort(-promise[rising], kind="stable")]
        for row in order[: (len(order) + 1) // 2]:
            now[row_ptr[row] : row_ptr[row + 1]] = 0.0
            now[best[row]] = 1.0
    worlds = np.stack([most_probable_world(ranked.rows, p) for p in (now, prior)])
    found, default = world_hits(ranked, worlds, points).sum(axis=1)
    return np.asarray(worlds[0] if found >= default else worlds[1])


def cross_fitted_potential(
    ranked: RankedPoints, prior: FloatArray, settled: IntArray, open_: IntArray, rng: np.random.Generator
) -> float:
    """Accuracy of a good world on development points that it was not chosen on."""
    # Every world scores the same on the settled points. With fewer than two open ones nothing can be cross-
    # fitted, and the most probable world is scored.
    n_points = len(settled) + len(open_)
    default = most_probable_world(ranked.rows, prior)[None]
    hits = float(world_hits(ranked, default, settled).sum())
    shuffled = rng.permutation(open_)
    halves = shuffled[: len(shuffled) // 2], shuffled[len(shuffled) // 2 :]
    if not halves[0].size:
        return (hits + float(world_hits(ranked, default, open_).sum())) / n_points
    for chosen_on, scored_on in (halves, halves[::-1]):
        world = best_world(ranked, prior, chosen_on)[None]
        hits += float(world_hits(ranked, world, scored_on).sum())
    return hits / n_points


def _first_largest(values: FloatArray, row_ptr: IntArray) -> IntArray:
    """Position of each row's first largest value, (N,)."""
    sizes = np.diff(row_ptr)
    largest = np.repeat(np.maximum.reduceat(values, row_ptr[:-1]), sizes)
    places = np.where(values == largest, np.arange(len(values)), len(values))
    return np.minimum.reduceat(places, row_ptr[:-1])
