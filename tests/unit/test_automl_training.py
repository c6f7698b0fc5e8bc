"""The arms and their training."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from easeml_ray.arms import (
    ARMS,
    FLOOR,
    Arm,
    Extra,
    Limits,
    arm_named,
    available_arms,
    class_probabilities,
    searchable_arms,
    train,
)
from easeml_ray.embed import Encoder
from easeml_ray.errors import InvalidArgument, OneClass, TooFewRows, TooLarge, WorkFailed

Data = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def frozen(*arrays: NDArray[Any]) -> None:
    for array in arrays:
        array.setflags(write=False)


@pytest.fixture(scope="module")
def digits() -> Data:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    frozen(X, y)
    return X[:400], y[:400], X[400:700], y[400:700]


@pytest.fixture(scope="module")
def wine() -> Data:
    from sklearn.datasets import load_wine

    X, y = load_wine(return_X_y=True)
    table = pa.table({f"f{i}": column for i, column in enumerate(X.T)})
    X = Encoder.fit(table, table.column_names).transform(table)
    frozen(X, y)
    return X[::2], y[::2], X[1::2], y[1::2]


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_learns_from_read_only_rows(name: str, digits: Data, wine: Data) -> None:
    for (X, y, X_dev, y_dev), n_classes, floor in ((digits, 10, 0.75), (wine, 3, 0.90)):
        trained = train(name, X, y, X_dev, y_dev, n_classes=n_classes, seed=1)
        if name == "naive_bayes":
            floor -= 0.15
        assert trained.dev_accuracy > (0.0 if name == FLOOR else floor)
        assert trained.dev_rows == len(y_dev)
        assert trained.dev_correct / trained.dev_rows == trained.dev_accuracy
        assert 0 <= trained.dev_lower < trained.dev_accuracy
        assert trained.seconds > 0
        probabilities = class_probabilities(trained.estimator, X_dev, n_classes)
        assert (probabilities.argmax(axis=1) == y_dev).sum() == trained.dev_correct


@pytest.mark.parametrize("name", ARMS)
def test_the_seed_decides_everything(name: str, wine: Data) -> None:
    X, y, X_dev, y_dev = wine

    def probabilities(seed: int) -> NDArray[np.float64]:
        estimator = train(name, X, y, X_dev, y_dev, n_classes=3, seed=seed).estimator
        return class_probabilities(estimator, X_dev, 3)

    assert (probabilities(2**63 + 5) == probabilities(2**63 + 5)).all()
    if name == "forest":
        assert (probabilities(1) != probabilities(2)).any()


@pytest.mark.parametrize("name", ARMS)
def test_probabilities_cover_classes_that_train_lacks(name: str) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([1, 3], 20)
    X = rng.normal(size=(40, 2)) + y[:, None]
    trained = train(name, X, y, X, np.full(40, 4), n_classes=5, seed=0)
    assert trained.dev_correct == 0
    assert trained.dev_lower == 0.0
    probabilities = class_probabilities(trained.estimator, X, 5)
    assert probabilities.shape == (40, 5)
    assert (probabilities[:, [0, 2, 4]] == 0).all()
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert class_probabilities(trained.estimator, X[:0], 5).shape == (0, 5)


def test_the_floor_is_the_majority_class(wine: Data) -> None:
    X, y, X_dev, y_dev = wine
    trained = train(FLOOR, X, y, X_dev, y_dev, n_classes=3, seed=0)
    majority = np.bincount(y).argmax()
    assert trained.dev_accuracy == np.mean(y_dev == majority)


def test_the_lower_limit_is_the_exact_binomial_one() -> None:
    X, y = np.array([[0.0], [1.0]] * 10), np.array([0, 1] * 10)
    y_dev = y.copy()
    y_dev[:3] = 1 - y_dev[:3]
    trained = train("neighbours", X, y, X, y_dev, n_classes=2, seed=0)
    assert trained.dev_correct == 17
    from scipy.stats import binom

    # At the limit, 17 right answers or more have a chance of exactly 5 %.
    assert binom.sf(16, 20, trained.dev_lower) == pytest.approx(0.05)


def test_the_registry_is_in_order_of_cost_and_follows_the_protocol() -> None:
    assert available_arms()[: len(ARMS)] == list(ARMS)
    assert next(iter(ARMS)) == FLOOR
    hints = [arm.cost_hint for arm in ARMS.values()]
    assert hints == sorted(hints)
    for name, arm in ARMS.items():
        assert arm_named(name) is arm
        assert isinstance(arm, Arm)
        assert arm.name == name


def test_an_unknown_arm_lists_the_known_ones() -> None:
    with pytest.raises(InvalidArgument, match="forest"):
        arm_named("forrest")


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed distribution with arms, found by importlib.metadata as any other."""
    info = tmp_path / "more_arms-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-arms\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[easeml_ray.arms]\n"
        "svc = more_arms:Quick\nslow = more_arms:Slow\nquick = more_arms:Quick\nboosted = more_arms:Boosted\n"
        "gone = no_such_module:Arm\nuseless = builtins:dict\n"
    )
    (tmp_path / "more_arms.py").write_text(
        "from easeml_ray.arms import Extra, Limits\n\n"
        "class Quick:\n"
        "    name = family = 'quick'\n"
        "    cost_hint = 0.5\n"
        "    limits = Limits(min_classes=1)\n"
        "    extra = None\n"
        "    def build(self, seed):\n"
        "        return object()\n\n"
        "class Slow(Quick):\n"
        "    name, cost_hint = 'slow', 9.0\n\n"
        "class Boosted(Quick):\n"
        "    name, extra = 'boosted', Extra('boost', ('a_module_that_nobody_has',))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("more_arms", None)


@pytest.mark.usefixtures("distribution")
def test_a_search_runs_installed_arms_after_the_library_s_cheap_ones_first() -> None:
    assert searchable_arms() == (*ARMS, "quick", "slow", "gone", "useless")
    assert available_arms() == list(searchable_arms())
    assert arm_named("svc") is ARMS["svc"]
    assert isinstance(arm_named("slow"), Arm) and arm_named("slow").cost_hint == 9.0


@pytest.mark.usefixtures("distribution")
def test_the_failure_of_an_installed_arm_s_fit_names_it() -> None:
    X, y = np.zeros((4, 1)), np.array([0, 1, 0, 1])
    with pytest.raises(WorkFailed) as caught:
        train("quick", X, y, X, y, n_classes=2, seed=0)
    assert caught.value.action == "train quick"
    assert "AttributeError" in caught.value.cause


@pytest.mark.usefixtures("distribution")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone", "'gone' fails when being loaded from no_such_module:Arm: ModuleNotFoundError"),
        ("useless", "installed arm 'useless' makes a dict, which is none"),
    ],
)
def test_an_installed_arm_that_cannot_be_made_is_named(name: str, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told) as caught:
        arm_named(name)
    assert caught.value.argument == "arms" and caught.value.hint


def test_an_arm_without_its_extra_is_not_searched_and_says_what_to_install(
    distribution: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidArgument, match="'boosted' needs a_module_that_nobody_has") as caught:
        arm_named("boosted")
    assert caught.value.hint == "pip install 'easeml_ray[boost]'"
    (distribution / "a_module_that_nobody_has.py").touch()
    importlib.invalidate_caches()
    assert "boosted" in searchable_arms() and arm_named("boosted").name == "boosted"
    monkeypatch.setattr(type(ARMS["forest"]), "extra", Extra("boost", ("a_module_of_no_one",)))
    assert "forest" not in searchable_arms()
    with pytest.raises(InvalidArgument, match="'forest' needs a_module_of_no_one"):
        arm_named("forest")


def test_train_sets_beyond_an_arm_s_limits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = np.arange(8.0)[:, None], np.array([0, 0, 0, 0, 1, 1, 1, 1])
    with pytest.raises(OneClass):
        train("logistic", X[:4], y[:4], X, y, n_classes=2, seed=0)
    assert train(FLOOR, X[:4], y[:4], X, y, n_classes=2, seed=0).dev_accuracy == 0.5
    with pytest.raises(TooFewRows) as few:
        train("neighbours", X[2:6], y[2:6], X, y, n_classes=2, seed=0)
    assert (few.value.required, few.value.available) == (5, 4)
    with pytest.raises(TooFewRows, match="rarest"):
        train("svc", X[:6], y[:6], X, y, n_classes=2, seed=0)
    monkeypatch.setattr(type(ARMS["svc"]), "limits", Limits(max_rows=7))
    with pytest.raises(TooLarge) as large:
        train("svc", X, y, X, y, n_classes=2, seed=0)
    assert (large.value.limit, large.value.size) == (7, 8)


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("X", {"X": [[np.nan], [0.0]]}),
        ("y", {"y": [0]}),
        ("n_classes", {"y": [0, 2]}),
        ("X_dev", {"X_dev": [[0.0, 1.0]]}),
        ("X_dev", {"X_dev": np.zeros((0, 1)), "y_dev": []}),
        ("y_dev", {"y_dev": ["a"]}),
        ("X_dev", {"X_dev": [[1e31]]}),
        ("X", {"X": [[1e31], [0.0]]}),
    ],
)
def test_arrays_that_do_not_fit_are_refused(argument: str, change: dict[str, Any]) -> None:
    good: dict[str, Any] = {"X": [[0.0], [1.0]], "y": [0, 1], "X_dev": [[0.0]], "y_dev": [0]}
    with pytest.raises(InvalidArgument) as caught:
        train("naive_bayes", **(good | change), n_classes=2, seed=0)
    assert caught.value.argument == argument
