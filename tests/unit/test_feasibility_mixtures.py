"""Nearest-neighbour counts on Gaussian mixtures whose Bayes error is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from easeml_ray.feasibility import NearestNeighbor

CASES = json.loads((Path(__file__).parents[1] / "data" / "gmm_known_ber.json").read_text())["cases"]
FAMILIES = sorted({case["family"] for case in CASES})


def drawn(case: dict) -> tuple[np.ndarray, np.ndarray]:
    classes, dim, delta = case["classes"], case["dim"], case["delta"]
    means = np.zeros((classes, dim))
    if case["family"].startswith("line"):
        means[:, 0] = delta * (np.arange(classes) - (classes - 1) / 2)
    elif case["family"] == "simplex":
        means[np.arange(classes), np.arange(classes)] = delta / np.sqrt(2)
    else:
        bits = int(np.log2(classes))
        means[:, :bits] = (((np.arange(classes)[:, None] >> np.arange(bits)) & 1) - 0.5) * delta
    rng = np.random.default_rng(case["seed"])
    priors = case.get("priors")
    y = rng.integers(0, classes, 6000) if priors is None else rng.choice(classes, size=6000, p=priors)
    X = rng.standard_normal((6000, dim)) + means[y]
    return X.astype(np.float32).astype(np.float64), y


@pytest.mark.parametrize("family", FAMILIES)
def test_every_count_along_every_curve_is_exact(family: str) -> None:
    for case in (c for c in CASES if c["family"] == family):
        X, y = drawn(case)
        state = NearestNeighbor(X[:2000], y[:2000], case["classes"])
        counts, done = [], 0
        for size in case["one_nn_errors"]["prefix"]:
            state.append(X[2000 + done : 2000 + size], y[2000 + done : 2000 + size])
            counts.append(state.errors)
            done = size
        assert counts == case["one_nn_errors"]["errors"], f"case {case['id']}"
