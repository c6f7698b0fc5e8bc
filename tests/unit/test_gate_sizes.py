"""Sizes of test sets against the goldens, an oracle by search, and the ways out."""

from __future__ import annotations

import json
import math
import pickle
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from easeml_ray.errors import InvalidArgument, TooFewTestRows
from easeml_ray.gate import parse, require, sample_size, ways_out

GOLDENS = json.loads((Path(__file__).parents[1] / "data" / "ci.json").read_text())["sample_size"]
COLUMNS = {"n_ref": "hoeffding", "n_opt_split": "hoeffding_optimal", "n_paired_range": "hoeffding_paired"}
PLAN: dict[str, Any] = {"reliability": 0.99, "steps": 32, "adaptivity": "none"}


@pytest.mark.parametrize("column", COLUMNS)
def test_goldens(column: str) -> None:
    present = [golden for golden in GOLDENS if column in golden]
    assert len(present) >= 192
    for golden in present:
        size = sample_size(
            parse(golden["condition"]),
            reliability=golden["reliability"],
            steps=golden["steps"],
            adaptivity=golden["adaptivity"],
            bound=COLUMNS[column],
        )
        assert size.rows == golden[column], golden


def test_the_optimal_split_is_that_of_a_search() -> None:
    condition = parse("n - 3 * o > 0.02 +/- 0.05")
    delta, logarithm = 0.01, math.log(32)
    shares = np.linspace(1e-4, 1 - 1e-4, 20_001) * delta
    rows = (np.sqrt(logarithm - np.log(shares)) + 3 * np.sqrt(logarithm - np.log(delta - shares))) ** 2
    found = sample_size(condition, **PLAN, bound="hoeffding_optimal").rows
    assert found == math.ceil(rows.min() / (2 * 0.05**2))
    assert found < sample_size(condition, **PLAN).rows


def test_the_sign_of_a_coefficient_does_not_matter() -> None:
    assert (
        sample_size(parse("n - o > 0.02 +/- 0.05"), **PLAN).rows
        == sample_size(parse("o - n < -0.02 +/- 0.05"), **PLAN).rows
    )


def test_repeated_variables_do_not_cost_rows() -> None:
    assert sample_size(parse("n + n - n > 0.8 +/- 0.05"), **PLAN) == sample_size(
        parse("n > 0.8 +/- 0.05"), **PLAN
    )


def test_clauses_in_d_alone_need_no_labels() -> None:
    size = sample_size(parse("n > 0.8 +/- 0.1 /\\ d < 0.2 +/- 0.05"), **PLAN)
    assert (size.clause, size.labels + size.unlabelled) == (1, size.rows)
    assert 0 < size.labels < size.rows
    assert sample_size(parse("d < 0.2 +/- 0.05"), **PLAN).labels == 0


def test_ten_thousand_adaptive_steps_do_not_overflow() -> None:
    plan: dict[str, Any] = {"reliability": 0.99, "steps": 10_000, "adaptivity": "full"}
    expected = (10_000 * math.log(2) - math.log(0.01)) / (2 * 0.1**2)
    assert sample_size(parse("n > 0.8 +/- 0.1"), **plan).rows == math.ceil(expected)


def test_a_reliability_counts_as_the_decimal_that_it_prints_as() -> None:
    condition = parse("n > 0.8 +/- 0.001")
    plan: dict[str, Any] = {"steps": 1, "adaptivity": "none"}
    assert sample_size(condition, reliability=0.9999, **plan) == sample_size(
        condition, reliability=Decimal("0.9999"), **plan
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"reliability": 1.0},
        {"reliability": 0.4},
        {"reliability": "high"},
        {"steps": 0},
        {"steps": 2.5},
        {"steps": True},
        {"adaptivity": "hybrid"},
        {"discordance": 0.1},
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        sample_size(parse("n > 0.8 +/- 0.1"), **(PLAN | wrong))
    assert caught.value.argument == next(iter(wrong))


def test_an_unknown_bound_lists_the_known_ones() -> None:
    with pytest.raises(InvalidArgument) as caught:
        sample_size(parse("n > 0.8 +/- 0.1"), **PLAN, bound="markov")
    assert all(name in caught.value.hint for name in [*COLUMNS.values(), "bennett", "exact", "best"])


def test_enough_rows_are_accepted() -> None:
    condition = parse("n > 0.8 +/- 0.1")
    assert require(condition, 404, **PLAN).rows == 404
    assert ways_out(condition, 404, **PLAN) == []


def test_too_few_rows_are_refused_with_ways_out() -> None:
    condition = parse("n - o > 0.02 +/- 0.05")
    with pytest.raises(TooFewTestRows) as caught:
        require(condition, 5000, **PLAN)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.required, error.available) == (7012, 5000)
    assert error.ways_out == ways_out(condition, 5000, **PLAN)
    assert len(error.ways_out) == 3


def test_every_way_out_fits_and_is_the_least_that_does() -> None:
    condition = parse("d < 0.2 +/- 0.05 /\\ n - o > 0.02 +/- 0.05")
    rows = 6000
    better, widen, fewer = ways_out(condition, rows, **PLAN, bound="hoeffding")
    assert not better.startswith("add")
    wider = parse(widen.removeprefix("widen the tolerance: "))
    assert wider.clauses[0] == condition.clauses[0]
    assert sample_size(wider, **PLAN).rows <= rows
    narrower = parse(
        str(wider).replace(str(wider.clauses[1].epsilon), str(wider.clauses[1].epsilon - Decimal("0.0001")))
    )
    assert sample_size(narrower, **PLAN).rows > rows
    steps = int(re.findall(r"at most (\d+)", fewer)[0])
    assert sample_size(condition, **(PLAN | {"steps": steps})).rows <= rows
    assert sample_size(condition, **(PLAN | {"steps": steps + 1})).rows > rows


def test_a_better_bound_comes_first_where_it_is_enough() -> None:
    assert ways_out(parse("n - o > 0.02 +/- 0.05"), 6500, **PLAN)[0].startswith("use the bound best")


def test_a_tolerance_without_room_is_not_proposed() -> None:
    ways = ways_out(parse("n > 0.8 +/- 0.1"), 50, **PLAN)
    assert ways == ["add 231 rows and use the bound best", "add 354 rows: 404 are needed"]
    assert ways_out(parse("n > 0.8 +/- 0.1"), 281, **PLAN)[0] == "use the bound best, which needs 281 rows"
    assert ways_out(parse("n > 0.8 +/- 0.1"), 0, **PLAN)[-1] == "add 404 rows: 404 are needed"
