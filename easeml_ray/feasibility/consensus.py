"""The probes as one classifier, at half of the train rows and at all of them.

Symbols
-------
K = members, T = development rows, C = classes
L = log probabilities of the members, (K, T, C)
w = weights of the members, non-negative, (K,)
P = pooled probabilities ``P ~ exp(sum_k w_k L_k)``, (T, C)

The weights are fitted to the log loss on development rows; the rows are cut into folds, and
each fold is pooled with the weights of the others, so that its errors are honest.

All of it is done three times: with the members trained on all train rows, and on either half of them. What
the halves say differently, though both saw the same distribution, is what the data have not settled yet. It
counts predictions and no errors, so that labels enter by a dozen weights only, and with little noise.

References
----------
G. E. Hinton, "Training products of experts by minimizing contrastive divergence", Neural
Computation 14(8), 2002 (the pool); D. H. Wolpert, "Stacked generalization", 1992 (the weights).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray

__all__ = ["PARTS", "Consensus", "consensus", "pool", "pool_weights"]

PARTS = ("all", "first", "second")
"""What a probe is trained on: all train rows, the first half of them, the second half."""

FOLDS = 5
FIT_ROWS = 2000  # development rows that weights are fitted to, at most
RIDGE = 1.0  # pulls the weights to 1/K, in nats per squared unit of weight


@dataclass(frozen=True, slots=True)
class Consensus:
    """Pooled class probabilities of the development rows. Shapes: P (T, C)."""

    P: dict[str, FloatArray]

    def wrong(self, y: IntArray) -> dict[str, NDArray[np.bool_]]:
        """Return where the most probable class is not the label, (T,), by part."""
        return {part: P.argmax(axis=1) != y for part, P in self.P.items()}

    def doubt(self) -> dict[str, FloatArray]:
        """Return 1 - max P a row, (T,), by part: the error that the pool expects of itself."""
        return {part: 1.0 - P.max(axis=1) for part, P in self.P.items()}

    def disagreement(self) -> NDArray[np.bool_]:
        """Return where the two halves name different classes, (T,)."""
        named = self.P["first"].argmax(axis=1) != self.P["second"].argmax(axis=1)
        disagree: NDArray[np.bool_] = named
        return disagree

    def regret(self) -> FloatArray:
        """Return what a half loses in probability by its choice, as all rows see it, (T,)."""
        whole = self.P["all"]
        rows = np.arange(len(whole))
        chosen = [whole[rows, self.P[half].argmax(axis=1)] for half in PARTS[1:]]
        loss: FloatArray = whole.max(axis=1) - 0.5 * (chosen[0] + chosen[1])
        return loss


def pool(L: FloatArray, w: FloatArray) -> FloatArray:
    """Return the pooled probabilities. Shapes: L (K, T, C); w (K,); returned (T, C)."""
    logits = np.tensordot(w, L, axes=1)
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    P: FloatArray = e / e.sum(axis=1, keepdims=True)
    return P


def pool_weights(L: FloatArray, y: IntArray) -> FloatArray:
    """Return the non-negative weights with the smallest ridged log loss."""
    # Shapes: L (K, T, C); y (T,); returned (K,).
    from scipy.optimize import minimize

    K, T = L.shape[:2]
    at_label = L[:, np.arange(T), y].sum(axis=1)

    def loss(w: FloatArray) -> tuple[float, FloatArray]:
        logits = np.tensordot(w, L, axes=1)
        top = logits.max(axis=1)
        e = np.exp(logits - top[:, None])
        total = e.sum(axis=1)
        expected = np.einsum("tc,ktc->k", e / total[:, None], L)
        away = w - 1.0 / K
        value = (np.log(total) + top).sum() - w @ at_label + RIDGE * (away @ away)
        return float(value) / T, (expected - at_label + 2.0 * RIDGE * away) / T

    start = np.full(K, 1.0 / K)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * K, options={"maxiter": 60}
    )
    w: FloatArray = found.x
    return w


def consensus(
    probabilities: Mapping[str, Mapping[str, FloatArray]], y: IntArray, *, seed: int = 0
) -> Consensus:
    """Pool the members, each development row with weights that have not seen its label."""
    # Shapes: probabilities (T, C); y (T,).
    T = len(y)
    shuffled = np.random.default_rng(seed).permutation(T)
    fold = shuffled % min(FOLDS, T)
    pooled = {}
    for part in PARTS:
        L = np.log(np.stack(list(probabilities[part].values())))
        P = np.empty(L.shape[1:])
        for f in range(fold.max() + 1):
            held, others = fold == f, shuffled[fold[shuffled] != f][:FIT_ROWS]
            P[held] = pool(L[:, held], pool_weights(L[:, others], y[others]))
        pooled[part] = P
    return Consensus(pooled)
