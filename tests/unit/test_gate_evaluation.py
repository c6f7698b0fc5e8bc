"""Three-valued evaluation in exact arithmetic."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from easeml_ray.errors import InvalidArgument
from easeml_ray.gate import Truth, Verdict, evaluate, parse
from easeml_ray.gate.condition import Subset
from easeml_ray.gate.evaluation import reachable

GOLDENS = json.loads((Path(__file__).parents[1] / "data" / "ci.json").read_text())["eval"]


@pytest.mark.parametrize("golden", GOLDENS)
@pytest.mark.parametrize("mode", ["fp-free", "fn-free"])
def test_goldens(golden: dict[str, Any], mode: str) -> None:
    result = evaluate(parse(golden["condition"]), mode=mode, **golden["estimates"])
    assert result.truth == golden["value"].upper()
    assert result.verdict == golden[mode.replace("-", "_")].upper()


@pytest.mark.parametrize(
    "estimates",
    [
        {"n": 0.88, "o": 0.85},
        {"n": Decimal("0.88"), "o": Decimal("0.85")},
        {"n": Fraction(88, 100), "o": Fraction(85, 100)},
        {"n": np.float64(0.88), "o": np.float32(0.85)},
    ],
)
def test_an_interval_that_touches_the_threshold_is_unknown(estimates: dict[str, Any]) -> None:
    # 0.88 - 0.85 - 0.01 is more than 0.02 in binary floating point.
    assert 0.88 - 0.85 - 0.01 > 0.02
    assert evaluate(parse("n - o > 0.02 +/- 0.01"), mode="fp-free", **estimates).truth is Truth.UNKNOWN
    assert evaluate(parse("o - n < -0.02 +/- 0.01"), mode="fp-free", **estimates).truth is Truth.UNKNOWN


def test_the_interval_of_each_clause_is_told() -> None:
    result = evaluate(parse("d < 0.1 +/- 0.01 /\\ n > 0.8 +/- 0.05"), mode="fn-free", n=0.9, d=0.2)
    assert [clause.truth for clause in result.clauses] == [Truth.FALSE, Truth.TRUE]
    assert (result.clauses[0].lower, result.clauses[0].upper) == (Fraction(19, 100), Fraction(21, 100))
    assert result.clauses[1].value == Fraction(9, 10)
    assert result.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("mode", "estimates"),
    [
        ("fp", {"n": 0.5}),
        ("fp-free", {}),
        ("fp-free", {"n": 1.5}),
        ("fp-free", {"n": float("nan")}),
        ("fp-free", {"n": "0.5"}),
        ("fp-free", {"n": True}),
        ("fp-free", {"n": 0.5, "m": 0.5}),
    ],
)
def test_estimates_that_cannot_be_used_are_refused(mode: str, estimates: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        evaluate(parse("n > 0.8 +/- 0.1"), mode=mode, **estimates)


def test_a_tolerance_that_leaves_no_room_is_recognised() -> None:
    assert reachable(parse("n > 0.8 +/- 0.1").clauses[0]) == set(Truth)
    assert Truth.TRUE not in reachable(parse("d < 0.1 +/- 0.1").clauses[0])
    assert Truth.FALSE not in reachable(parse("n > 0.05 +/- 0.05").clauses[0])
    assert reachable(parse("n > 0.5 +/- 0.6").clauses[0]) == {Truth.UNKNOWN}
    assert reachable(parse("n > 2 +/- 0.1").clauses[0]) == {Truth.FALSE}


def test_clauses_on_slices_and_classes_take_their_own_estimates() -> None:
    condition = parse('n > 0.8 +/- 0.1 /\\ n[site = "a"] > 0.5 +/- 0.1 /\\ recall(n, "x") > 0.6 +/- 0.1')
    subsets = {Subset("site", "a"): {"n": 0.7}, Subset(None, "x"): {"n": 0.65}}
    result = evaluate(condition, mode="fn-free", n=0.95, subsets=subsets)
    assert [clause.truth for clause in result.clauses] == ["TRUE", "TRUE", "UNKNOWN"]
    with pytest.raises(InvalidArgument, match='rows of the class "x"'):
        evaluate(condition, mode="fp-free", n=0.95, subsets={Subset("site", "a"): {"n": 0.7}})


def test_a_latency_is_met_or_not() -> None:
    condition = parse("n > 0.5 +/- 0.1 /\\ latency < 20 ms")
    for latency, verdict in ((19.9, "PASS"), (20, "FAIL"), (float("1e9"), "FAIL")):
        assert evaluate(condition, mode="fn-free", n=0.9, latency=latency).verdict == verdict
    for wrong in (None, -1.0, float("nan"), float("inf"), "5"):
        with pytest.raises(InvalidArgument, match="latency"):
            evaluate(condition, mode="fp-free", n=0.9, latency=wrong)  # type: ignore[arg-type]
