from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from races import Contenders, TangentStop, run_race

from easeml_ray.feasibility.race import STRATEGIES, Strategy, TangentHalving, strategy_named

seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(sorted(STRATEGIES))


def any_curves(rng: np.random.Generator) -> dict[str, list[float]]:
    """Few values, so that errors tie; not monotone; arms of different lengths."""
    count = int(rng.integers(1, 8))
    return {f"e{i}": (rng.integers(0, 9, int(rng.integers(1, 14))) / 8).tolist() for i in range(count)}


def convex_curves(rng: np.random.Generator, length: int) -> dict[str, list[float]]:
    curves = {}
    for i in range(int(rng.integers(2, 10))):
        drops = np.sort(rng.random(length))[::-1] * rng.uniform(0.2, 1.0)
        level = rng.uniform(0.0, 0.5)
        curve = level + (drops.sum() - np.cumsum(drops)) / length / 2
        curves[f"e{i}"] = np.minimum(curve, 1.0).tolist()
    return curves


def lengths(curves: dict[str, list[float]]) -> dict[str, int]:
    return {arm: len(curve) for arm, curve in curves.items()}


@settings(max_examples=35, deadline=None)
@given(names, seeds)
def test_results_that_come_late_and_out_of_order_change_nothing(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves = any_curves(rng)
    alone = run_race(strategy_named(name, lengths(curves)), lambda arm, block: curves[arm][block])
    strategy = strategy_named(name, lengths(curves))
    flying: list[str] = []
    while True:
        asked = None if rng.random() < 0.5 else int(rng.integers(1, 4))
        handed = strategy.next(asked)
        assert len(set(handed)) == len(handed) and not set(handed) & set(flying)
        assert asked is None or len(handed) <= asked
        flying += handed
        assert strategy.in_flight == set(flying)
        if not flying:
            break
        for arm in [flying.pop(int(rng.integers(len(flying)))) for _ in range(rng.integers(1, 3)) if flying]:
            strategy.observe(arm, curves[arm][len(strategy.curves[arm])])
            assert tuple(strategy.order) == alone.order[: len(strategy.order)]
    assert strategy.finished and tuple(strategy.order) == alone.order


@settings(max_examples=35, deadline=None)
@given(names, seeds)
def test_every_arm_comes_to_its_end_and_no_further(name: str, seed: int) -> None:
    curves = any_curves(np.random.default_rng(seed))
    result = run_race(strategy_named(name, lengths(curves)), lambda arm, block: curves[arm][block])
    assert Counter(result.order) == lengths(curves)
    assert result.curves[str(result.best)][-1] == min(curve[-1] for curve in curves.values())


@settings(max_examples=30, deadline=None)
@given(names, seeds)
def test_a_decision_depends_on_observed_errors_only(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves = any_curves(rng)
    cut = int(rng.integers(0, sum(lengths(curves).values()) + 1))
    seen: Counter[str] = Counter()

    def race(after: dict[str, list[float]]) -> list[str]:
        strategy = strategy_named(name, lengths(curves))
        while len(strategy.order) < cut:
            (arm,) = strategy.next(1)
            block = len(strategy.curves[arm])
            strategy.observe(arm, after[arm][block])
        return strategy.order + strategy.next(1)

    order = race(curves)
    seen.update(order[:cut])
    changed = {arm: curve[: seen[arm]] + [0.0] * len(curve) for arm, curve in curves.items()}
    assert race(changed) == order


@settings(max_examples=35, deadline=None)
@given(seeds)
def test_on_convex_curves_a_tangent_gives_up_no_arm_that_would_go_on(seed: int) -> None:
    rng = np.random.default_rng(seed)
    length = int(rng.integers(3, 20))
    curves = convex_curves(rng, length)
    strategy = TangentHalving(lengths(curves))
    arms, target = list(curves), int(rng.integers(1, length + 1))
    k = int(rng.integers(1, len(arms) + 1))
    for arm in arms:  # what earlier brackets left behind
        strategy.curves[arm].extend(curves[arm][: int(rng.integers(0, length + 1))])
    rounds = strategy._round(arms, target, k)
    left: list[str] = []
    try:
        while True:
            for arm in next(rounds):
                strategy.curves[arm].append(curves[arm][len(strategy.curves[arm])])
    except StopIteration as end:
        left = end.value

    def at_target(arm: str) -> float:
        return curves[arm][max(target, len(strategy.curves[arm])) - 1]

    go_on = sorted(map(at_target, arms))[:k]
    assert np.allclose(sorted(map(at_target, left))[:k], go_on, atol=1e-9)


@settings(max_examples=35, deadline=None)
@given(names, seeds, st.floats(0.0, 0.1))
def test_on_convex_curves_a_stop_or_leaving_arms_out_costs_at_most_the_tolerance(
    name: str, seed: int, tolerance: float
) -> None:
    rng = np.random.default_rng(seed)
    curves = convex_curves(rng, int(rng.integers(3, 20)))
    stop = TangentStop(lengths(curves), rows=100, tolerance=tolerance, standard_errors=0.0)
    strategy: Strategy = strategy_named(name, lengths(curves))
    best = min(curve[-1] for curve in curves.values())
    for result in (
        run_race(strategy, lambda arm, block: curves[arm][block], stop),
        run_race(
            Contenders(strategy_named(name, lengths(curves)), stop), lambda arm, block: curves[arm][block]
        ),
    ):
        assert result.curves[str(result.best)][-1] <= best + tolerance + 1e-9


@settings(max_examples=35, deadline=None)
@given(seeds, st.integers(1, 1000), st.floats(0.0, 3.0))
def test_more_noise_puts_the_lowest_end_lower(seed: int, rows: int, z: float) -> None:
    rng = np.random.default_rng(seed)
    curve = rng.random(int(rng.integers(2, 12))).tolist()
    left = int(rng.integers(1, 10))

    def lowest(rows: int, z: float) -> float:
        return TangentStop({"a": 1}, rows=rows, standard_errors=z).lowest(curve, left)

    assert lowest(rows, z + 0.5) <= lowest(rows, z) <= lowest(rows * 2, z) <= curve[-1]
    assert not math.isnan(lowest(rows, z))
