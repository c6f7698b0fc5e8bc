"""The embedding in which rows are near when a random forest sends them to the same leaves.

Symbols
-------
T = trees, L_t = leaves of tree t, k = dimensions
r_t = signs, each -1 or 1 with equal chance, int8 (L_t, k)
z(x) = sum over t of r_t[leaf of x in t] / sqrt(T k), (k,)

Two rows that share m of the T leaves have a squared distance whose expectation over the signs
is ``2 (1 - m / T)`` and whose standard deviation is at most ``sqrt(8 / k)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.linear import Linear
from easeml_ray.embed.recipe import Sized
from easeml_ray.embed.standardise import standardisation
from easeml_ray.embed.subsample import stratified_rows

__all__ = ["MOST_ROWS", "TREES", "Forest"]

TREES = 64
MOST_ROWS = 20_000
"""Train rows that the trees are grown on."""
MOST_LEAVES = 1024
"""Leaves of a tree; bounds the signs to 64 KiB a dimension."""

# Trees compare in float32; held-out values far beyond those of train must not overflow there.
FARTHEST = 1e30


@dataclass(frozen=True, slots=True)
class Leaves:
    """Trees, and the signs of their leaves.

    By tree: positions (n_nodes,) of a node among the leaves, signs int8 (n_leaves, k).
    """

    scaler: Linear
    trees: tuple[Any, ...]
    positions: tuple[IntArray, ...]
    signs: tuple[NDArray[np.int8], ...]

    @property
    def n_dimensions(self) -> int:
        """The signs of a leaf."""
        return int(self.signs[0].shape[1])

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Add the signs of the leaves that each row falls into."""
        # Sums of signs are whole numbers: exact in any order.
        embedded = np.zeros((len(rows), self.n_dimensions))
        inputs = np.clip(self.scaler(rows), -FARTHEST, FARTHEST).astype(np.float32)
        for tree, positions, signs in zip(self.trees, self.positions, self.signs, strict=True):
            embedded += signs[positions[tree.apply(inputs)]]
        embedded /= np.sqrt(len(self.trees) * self.n_dimensions)
        return embedded


@dataclass(frozen=True, slots=True)
class Forest(Sized):
    """A random forest's proximity, sketched in k dimensions.

    The forest has 64 trees with leaves of two rows or more, grown on at most 20,000 rows. A neighbour in it
    is often as good as the forest, so its error is near the Bayes error itself, not near the up to twice as
    large one that the Cover-Hart formula allows for: a good upper bound, a low lower one.
    L. Breiman, "Random forests" (2001), on proximities; sketch of D. Achlioptas (2003).
    """

    family: ClassVar[str] = "forest"
    supervised: ClassVar[bool] = True
    cost: ClassVar[float] = 500.0
    seed: int = 0

    def learn(self, rows: FloatArray, y: IntArray) -> Leaves:
        """Grow the trees and draw the signs."""
        from sklearn.ensemble import RandomForestClassifier

        kept = stratified_rows(y, MOST_ROWS, self.seed)
        scaler = standardisation(rows)
        model = RandomForestClassifier(
            TREES, min_samples_leaf=2, max_leaf_nodes=MOST_LEAVES, random_state=self.seed
        ).fit(scaler(rows[kept]), y[kept])
        trees = tuple(estimator.tree_ for estimator in model.estimators_)
        rng = np.random.default_rng(self.seed)
        leaf = [tree.children_left < 0 for tree in trees]
        signs = tuple(
            (2 * rng.integers(0, 2, (int(at.sum()), self.size), dtype=np.int8) - 1).astype(np.int8)
            for at in leaf
        )
        return Leaves(scaler, trees, tuple(np.cumsum(at) - 1 for at in leaf), signs)
