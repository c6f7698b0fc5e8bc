from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from easeml_ray.embed.nca import Nca, nca_directions
from easeml_ray.embed.standardise import standardisation
from easeml_ray.embed.subsample import stratified_rows

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "one_nn_errors.json").read_text())
CASES = [case for case in GOLDEN["cases"] if case["embedding"].startswith("nca")]
LOADERS = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
}


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['dataset']}-{c['embedding']}-{c['seed']}")
def test_error_counts_are_within_two_of_the_golden_ones_along_the_prefixes(case: dict) -> None:
    X, y = LOADERS[case["dataset"]](return_X_y=True)
    order = np.random.default_rng(case["seed"]).permutation(len(X))
    test, train = order[: len(X) // 4], order[len(X) // 4 :]
    S = standardisation(X[train])(X)
    # The goldens learn from the first rows, the embedding from a stratified sample of them.
    learned = train[:500]
    k = int(case["embedding"].removeprefix("nca-"))
    Z = S @ nca_directions(S[learned], y[learned], k, seed=case["seed"])
    d2 = (
        np.square(Z[test]).sum(axis=1)[:, None] - 2.0 * Z[test] @ Z[train].T + np.square(Z[train]).sum(axis=1)
    )
    counts = [int((y[train[d2[:, :size].argmin(axis=1)]] != y[test]).sum()) for size in case["prefix"]]
    assert np.abs(np.subtract(counts, case["exact64_errors"])).max() <= 2


def test_labels_choose_the_direction_where_variance_would_choose_another() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    X = np.column_stack([rng.standard_normal((120, 6)), y + 0.1 * rng.standard_normal(120)])
    directions = Nca(1).fit(X, y).map.directions[:, 0]
    assert np.abs(directions[6]) > 5.0 * np.abs(directions[:6]).max()


def test_many_rows_are_thinned_so_that_each_class_keeps_its_share() -> None:
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [7000, 2990, 10]))
    kept = stratified_rows(y, 1000, seed=0)
    assert np.bincount(y[kept]).tolist() == [700, 299, 1] and (np.diff(kept) > 0).all()
    assert not np.array_equal(kept, stratified_rows(y, 1000, seed=1))
    assert np.array_equal(stratified_rows(y, 10_000, seed=0), np.arange(10_000))
