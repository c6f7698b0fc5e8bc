from __future__ import annotations

import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from races import Contenders, RaceResult, TangentStop, run_race

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility.race import (
    STRATEGIES,
    BestFirst,
    Strategy,
    SuccessiveHalving,
    TangentHalving,
    Uniform,
    strategy_named,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "embedding_race.json").read_text())
PROBLEMS = GOLDEN["problems"]
SAME_ORDER = {
    "uniform": "uniform",
    "best_first": "best_first",
    "successive_halving": "sh_easeml_eta2_b1",
    "successive_halving_paper": "sh_paper_eta2",
}
Curves = dict[str, list[float]]


def lengths(curves: Curves) -> dict[str, int]:
    return {arm: len(curve) for arm, curve in curves.items()}


def looked_up(curves: Curves) -> Callable[[str, int], float]:
    return lambda arm, block: curves[arm][block]


def race(name: str, curves: Curves, worst: float, **options: object) -> RaceResult:
    strategy = strategy_named(name, lengths(curves), worst_error=worst)
    return run_race(strategy, looked_up(curves), **options)  # type: ignore[arg-type]


def golden_race(name: str, problem: str) -> RaceResult:
    given = PROBLEMS[problem]
    return race(name, given["curves"], given["n_test"])


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", SAME_ORDER)
def test_pulls_come_in_the_order_of_the_reference(name: str, problem: str) -> None:
    assert list(golden_race(name, problem).order) == GOLDEN["pull_order"][SAME_ORDER[name]][problem]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("accounting", ["", "_paper"])
def test_with_tangents_the_best_arm_finishes_no_later(accounting: str, problem: str) -> None:
    plain = golden_race("successive_halving" + accounting, problem)
    tangent = golden_race("tangent_halving" + accounting, problem)
    assert plain.best is not None and plain.best == tangent.best
    assert tangent.finished_at[plain.best] <= plain.finished_at[plain.best]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_tangents_are_as_early_as_the_reference_with_its_tangents(problem: str) -> None:
    curves = PROBLEMS[problem]["curves"]
    result = golden_race("tangent_halving_paper", problem)
    reference = GOLDEN["pull_order"]["sh_paper_tangent_eta2"][problem]
    last = [number for number, arm in enumerate(reference, 1) if arm == result.best]
    assert result.finished_at[str(result.best)] <= last[len(curves[result.best]) - 1]


def tangent_round_by_loop(
    curves: Curves, done: Counter[str], arms: list[str], target: int, k: int
) -> set[str]:
    """The arms left at the end of one round, pull by pull."""

    def error(arm: str) -> float:
        return curves[arm][done[arm] - 1] if done[arm] else 1.0

    for goal in (min(2, target), target):
        chosen = arms if goal <= 2 and goal < target else sorted(arms, key=error)[:k]
        for arm in arms if goal == min(2, target) else chosen:
            done[arm] = max(done[arm], min(goal, len(curves[arm])))
    left = set(arms)
    while True:
        bar = sorted(error(arm) for arm in left)[k - 1]
        for arm in sorted(left):
            steps = max(0, min(target, len(curves[arm])) - done[arm])
            if done[arm] >= 2:
                drop = max(0.0, curves[arm][done[arm] - 2] - error(arm))
                if error(arm) - drop * steps > bar:
                    left.discard(arm)
        short = [arm for arm in left if done[arm] < min(target, len(curves[arm]))]
        if not short:
            return left
        done.update(short)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_first_round_with_tangents_equals_the_loop(problem: str) -> None:
    worst = PROBLEMS[problem]["n_test"]
    curves = {arm: [e / worst for e in curve] for arm, curve in PROBLEMS[problem]["curves"].items()}
    for target, k in ((5, 1), (7, 2), (12, 3)):
        strategy = TangentHalving(lengths(curves))
        rounds = strategy._round(list(curves), target, k)
        left: list[str] = []
        try:
            while True:
                for arm in next(rounds):
                    strategy.curves[arm].append(curves[arm][len(strategy.curves[arm])])
        except StopIteration as end:
            left = end.value
        done: Counter[str] = Counter()
        assert set(left) == tangent_round_by_loop(curves, done, list(curves), target, k)
        assert {arm: len(curve) for arm, curve in strategy.curves.items()} == dict(done)


def test_best_first_waits_where_a_tangent_says_another_may_overtake() -> None:
    curves = {"flat": [0.30, 0.29, 0.285, 0.284], "steep": [0.60, 0.40, 0.28, 0.25]}
    strategy = BestFirst(lengths(curves))
    result = run_race(strategy, looked_up(curves))
    # After two pulls of flat, steep's first drop of 0.4 may bring it to 0.2.
    assert result.order[:4] == ("flat", "steep", "flat", "steep")


def test_a_tangent_leaves_the_rest_of_a_hopeless_arm_to_later_brackets() -> None:
    curves = {arm: [level * 0.9**done for done in range(8)] for arm, level in (("r", 0.5), ("p", 0.2))}
    assert "".join(run_race(TangentHalving(lengths(curves)), looked_up(curves)).order) == "rppprppppprrrrrr"


def test_arms_of_different_lengths_all_come_to_their_end() -> None:
    for name in STRATEGIES:
        curves = {"long": [0.5 / i for i in range(1, 10)], "short": [0.4], "middle": [0.6, 0.3, 0.3]}
        result = race(name, curves, 1.0)
        assert Counter(result.order) == {"long": 9, "short": 1, "middle": 3}
        assert result.curves == {arm: tuple(curve) for arm, curve in curves.items()}
        assert result.best == "long" and not result.stopped


def test_one_arm_is_a_race() -> None:
    for name in STRATEGIES:
        assert race(name, {"raw": [0.5, 0.4]}, 1.0).order == ("raw", "raw")


def test_of_equal_arms_the_first_given_is_the_best() -> None:
    for name in STRATEGIES:
        assert race(name, {"b": [0.5, 0.4], "a": [0.5, 0.4]}, 1.0).best == "b"


def test_a_rounding_logarithm_makes_no_extra_round() -> None:
    # math.log(125, 5) is a little above 3.
    arms = {f"e{i}": 2 for i in range(125)}
    assert SuccessiveHalving(arms, eta=5, accounting="paper")._rounds(125) == 3
    assert SuccessiveHalving(arms, eta=5)._rounds(126) == 5


def test_a_whole_round_may_be_in_flight_and_each_arm_only_once() -> None:
    strategy = strategy_named("successive_halving_paper", dict.fromkeys("abcd", 8))
    assert strategy.next() == ["a", "b", "c", "d"] and strategy.next() == []
    strategy.observe("d", 0.1)
    assert strategy.next() == []  # the round has one pull each
    for arm, error in (("b", 0.4), ("a", 0.3), ("c", 0.2)):
        strategy.observe(arm, error)
    assert strategy.order == ["a", "b", "c", "d"]
    assert strategy.next(at_most=1) == ["d"] and strategy.next() == ["c"]
    strategy.observe("c", 0.2)
    assert strategy.next() == ["c"] and strategy.in_flight == {"c", "d"}
    assert strategy.order == ["a", "b", "c", "d"]  # c's pull is settled after d's two
    strategy.observe("d", 0.1)
    assert strategy.order == ["a", "b", "c", "d", "d"]


def test_uniform_lets_a_fast_arm_run_ahead() -> None:
    strategy = Uniform({"slow": 2, "fast": 3})
    assert strategy.next() == ["slow", "fast"]
    for _ in range(2):
        strategy.observe("fast", 0.5)
        assert strategy.next() == ["fast"]
    strategy.observe("fast", 0.5)
    assert strategy.next() == [] and strategy.order == [] and not strategy.finished
    strategy.observe("slow", 0.5)
    assert strategy.order == ["slow", "fast"]


class Pulls:
    """Pulls with random delays that notice two at a time of one arm."""

    def __init__(self, curves: Curves, seed: int) -> None:
        self.curves, self.random = curves, random.Random(seed)
        self.locks = {arm: threading.Lock() for arm in curves}
        self.done = dict.fromkeys(curves, 0)
        self.made = 0
        self.running = 0

    def __call__(self, arm: str, block: int) -> float:
        assert self.locks[arm].acquire(blocking=False), "two pulls of one arm at a time"
        self.running += 1
        time.sleep(self.random.choice((0.0, 0.0, 0.0, 0.0, 0.001)))
        assert block == self.done[arm]
        self.done[arm] += 1
        self.made += 1
        self.running -= 1
        self.locks[arm].release()
        return self.curves[arm][block]


@pytest.mark.parametrize("name", STRATEGIES)
def test_over_an_executor_a_race_is_the_same(name: str) -> None:
    for seed, problem in enumerate(PROBLEMS):
        given = PROBLEMS[problem]
        strategy = strategy_named(name, lengths(given["curves"]), worst_error=given["n_test"])
        with ThreadPoolExecutor(4) as executor:
            pulls, most = Pulls(given["curves"], seed), (None, 3, 1)[seed]
            result = run_race(strategy, pulls, executor=executor, in_flight=most)
        assert result == golden_race(name, problem)
        assert strategy.finished and strategy.order == list(result.order)


@pytest.mark.parametrize("name", ["uniform", "tangent_halving"])
def test_over_an_executor_a_race_stops_at_the_same_pull(name: str) -> None:
    given = PROBLEMS["eight_arms_32"]
    arms = lengths(given["curves"])
    stop = TangentStop(arms, rows=5000, worst_error=5000, tolerance=0.02, standard_errors=0.5)
    alone = race(name, given["curves"], 5000, stop=stop)
    assert alone.stopped and alone.best == "e0" and len(alone.order) < 256
    for seed in range(3):
        pulls = Pulls(given["curves"], seed)
        with ThreadPoolExecutor(4) as executor:
            result = run_race(
                strategy_named(name, arms, worst_error=5000), pulls, stop, executor=executor, in_flight=4
            )
            assert pulls.running == 0
        assert result == alone and len(alone.order) <= pulls.made <= 256


def contenders(name: str, curves: Curves, worst: int, **options: float) -> Contenders:
    arms = lengths(curves)
    stop = TangentStop(arms, rows=worst, worst_error=worst, **options)  # type: ignore[arg-type]
    return Contenders(strategy_named(name, arms, worst_error=worst), stop)


@pytest.mark.parametrize("name", ["tangent_halving", "tangent_halving_paper", "best_first"])
def test_leaving_out_hopeless_arms_finds_the_same_best_with_fewer_pulls_than_a_stop(name: str) -> None:
    for problem, given in PROBLEMS.items():
        curves, rows = given["curves"], given["n_test"]
        stop = TangentStop(lengths(curves), rows=rows, worst_error=rows)
        stopped = race(name, curves, rows, stop=stop)
        left_out = run_race(contenders(name, curves, rows), looked_up(curves))
        full = golden_race(name, problem)
        assert left_out.best == stopped.best == full.best and not left_out.stopped
        assert len(left_out.order) < len(stopped.order) < len(full.order)
        assert stop(left_out.curves)
        first = min(left_out.finished_at.values())
        assert left_out.order[:first] == full.order[:first]


def test_over_an_executor_the_same_arms_are_left_out() -> None:
    given = PROBLEMS["eight_arms_32"]
    alone = run_race(contenders("tangent_halving", given["curves"], 5000), looked_up(given["curves"]))
    for seed in range(2):
        with ThreadPoolExecutor(4) as executor:
            pulls = Pulls(given["curves"], seed)
            strategy = contenders("tangent_halving", given["curves"], 5000)
            assert run_race(strategy, pulls, executor=executor) == alone
        assert pulls.made == len(alone.order)


def test_a_pull_that_raises_ends_the_race_with_nothing_running() -> None:
    curves = {arm: [0.5] * 6 for arm in "abcd"}
    pulls = Pulls(curves, 0)

    def failing(arm: str, block: int) -> float:
        if (arm, block) == ("b", 1):
            raise OSError("disk")
        return pulls(arm, block)

    with pytest.raises(OSError, match="disk"):
        run_race(Uniform(lengths(curves)), failing)
    pulls = Pulls(curves, 0)
    with ThreadPoolExecutor(4) as executor:
        with pytest.raises(OSError, match="disk"):
            run_race(Uniform(lengths(curves)), failing, executor=executor)
        assert pulls.running == 0
        made = pulls.made
    assert made == pulls.made < 24


def test_an_interrupted_race_goes_on_with_the_errors_already_known() -> None:
    given = PROBLEMS["four_arms_24"]
    curves, arms = given["curves"], lengths(given["curves"])
    known: dict[tuple[str, int], float] = {}

    def pull(arm: str, block: int) -> float:
        if (arm, block) not in known:
            if len(known) == limit:
                raise KeyboardInterrupt
            known[arm, block] = curves[arm][block]
        return known[arm, block]

    limit = 40
    with pytest.raises(KeyboardInterrupt):
        run_race(strategy_named("tangent_halving", arms, worst_error=2000), pull)
    limit = 96
    result = run_race(strategy_named("tangent_halving", arms, worst_error=2000), pull)
    assert result == golden_race("tangent_halving", "four_arms_24")


def test_a_race_may_be_stopped_at_any_pull() -> None:
    curves = {"a": [0.5, 0.4], "b": [0.4, 0.3]}
    result = race("uniform", curves, 1.0, stop=lambda so_far: len(so_far["a"]) == 2)
    assert result.order == ("a", "b", "a") and result.stopped
    assert result.curves == {"a": (0.5, 0.4), "b": (0.4,)}
    assert result.best == "a" and result.finished_at == {"a": 3}
    none = race("uniform", curves, 1.0, stop=lambda so_far: True)
    assert none.order == ("a",) and none.best is None and none.finished_at == {}


def test_the_lowest_end_of_an_arm_follows_its_formula() -> None:
    stop = TangentStop({"a": 9, "b": 1}, rows=400, standard_errors=2.0)
    curve = [0.5, 0.42, 0.40, 0.37, 0.36]  # t = 5, w = 2, 4 to go
    discordant = 2 / 5 * (0.40 * 0.64 + 0.36 * 0.60)
    by_hand = 0.36 - 4 * ((0.40 - 0.36) / 2 + 2.0 * math.sqrt(discordant / 400) / 2)
    assert stop.lowest(curve, 4) == pytest.approx(by_hand)
    counts = TangentStop({"a": 9, "b": 1}, rows=400, standard_errors=2.0, worst_error=400)
    assert counts.lowest([400 * e for e in curve], 4) == pytest.approx(by_hand)
    assert stop.lowest([0.3], 8) == -math.inf


def test_noise_tolerance_and_rising_curves_bear_on_the_stop() -> None:
    arms = {"best": 2, "other": 4}
    curves = {"best": [0.3, 0.2], "other": [0.30, 0.25]}
    at_most = {"rows": 10**9, "standard_errors": 1.0}
    assert not TangentStop(arms, **at_most)(curves)
    assert not TangentStop(arms, tolerance=0.049, **at_most)(curves)
    assert TangentStop(arms, tolerance=0.051, **at_most)(curves)
    rising = {"best": [0.3, 0.2], "other": [0.25, 0.26]}
    assert TangentStop(arms, rows=100, standard_errors=0.0)(rising)
    assert not TangentStop(arms, rows=100, standard_errors=2.0)(rising)
    assert not TangentStop(arms, rows=100)({"best": [0.3], "other": [0.9, 0.9]})
    assert TangentStop(arms, rows=1)({"best": [0.9, 0.9], "other": [0.4, 0.3, 0.2, 0.1]})


def test_bad_input_is_refused() -> None:
    def refused(match: str, argument: str, call: object) -> None:
        with pytest.raises(InvalidArgument, match=match) as caught:
            call()  # type: ignore[operator]
        assert caught.value.argument == argument and caught.value.hint

    for make in STRATEGIES.values():
        refused("no arms", "arms", lambda make=make: make({}))
        for pulls in (0, -1, 1.5, True, "2"):
            refused("pulls to its end", "arms", lambda make=make, pulls=pulls: make({"raw": pulls}))
        for worst in (0, -1.0, math.nan, math.inf, "1"):
            refused("worst_error is", "worst_error", lambda m=make, w=worst: m({"raw": 1}, worst_error=w))
    refused("no strategy named 'ucb'", "strategy", lambda: strategy_named("ucb", {"raw": 1}))
    for eta in (1, 0, -2, 2.5):
        refused("eta is", "eta", lambda eta=eta: SuccessiveHalving({"raw": 1}, eta=eta))
        refused("eta is", "eta", lambda eta=eta: TangentHalving({"raw": 1}, eta=eta))
    refused("no accounting", "accounting", lambda: SuccessiveHalving({"raw": 1}, accounting="tax"))  # type: ignore[arg-type]

    strategy = Uniform({"raw": 3, "pca": 3})
    refused("at_most is 0", "at_most", lambda: strategy.next(0))
    refused("no pull of 'raw'", "arm", lambda: strategy.observe("raw", 0.5))
    assert strategy.next(1) == ["raw"]
    refused("no pull of 'pca'", "arm", lambda: strategy.observe("pca", 0.5))
    refused("no pull of 'nothing'", "arm", lambda: strategy.observe("nothing", 0.5))
    for error in (-0.1, 1.1, math.nan, math.inf, "0.1", None):
        refused("the error of 'raw' is", "error", lambda error=error: strategy.observe("raw", error))
    strategy.observe("raw", 0.5)
    refused("no pull of 'raw'", "arm", lambda: strategy.observe("raw", 0.5))
    assert strategy.curves == {"raw": [0.5], "pca": []}

    for field, value in (("rows", 0), ("rows", 2.5), ("tolerance", -0.1), ("standard_errors", math.nan)):
        given = {"rows": 10} | {field: value}
        refused(f"{field} is", field, lambda given=given: TangentStop({"raw": 1}, **given))
    refused("no arms", "arms", lambda: TangentStop({}, rows=10))


def test_contenders_need_a_new_strategy_and_a_stop_over_its_arms() -> None:
    first = Uniform({"raw": 1})
    with pytest.raises(InvalidArgument, match="other arms"):
        Contenders(first, TangentStop({"raw": 2}, rows=10))
    first.next()
    with pytest.raises(InvalidArgument, match="has begun"):
        Contenders(first, TangentStop({"raw": 1}, rows=10))


def test_a_race_needs_a_strategy_without_pulls_in_flight() -> None:
    strategy: Strategy = Uniform({"raw": 1})
    with pytest.raises(InvalidArgument, match="in_flight is 0"):
        run_race(strategy, lambda arm, block: 0.5, in_flight=0)
    strategy.next()
    with pytest.raises(InvalidArgument, match="a pull of raw is in flight"):
        run_race(strategy, lambda arm, block: 0.5)
