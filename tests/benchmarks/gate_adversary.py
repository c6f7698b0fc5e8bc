"""Whoever sends models to the gate, compiled: three senders, and the verdicts that they are told.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
x       value on a row, 1, 0 or -1: n - o, or 2 n - 1 where a condition speaks of n
        alone (that one is never 0); its sign turned for ``<``, and for fn-free
c, e    threshold and tolerance in units of x; PASS says that v > c
q       P(x ≠ 0);  v, its mean, lies at a boundary: c, or c + 2 e
======  ==========================================================================

In these units every mode and comparison is one: fn-free mirrors fp-free, and its FAIL is called PASS here.

**Senders.** ``independent``: all models lie at the boundary, each with its own luck. The other two know
which rows exist, not the labels. A row is *sure* (x = 1 for every model), a *bridge*, or a *coin*: x = s y,
the model's choice y = ±1 against the label's s = ±1, which is fair and independent of everything that the
sender sees. So v is exactly the share of rows that are sure for a model, however it came to its y, and
P(x ≠ 0) is exactly q. Only the products s y are drawn. Bridges are sure for the models that try something
out and coins for those that count (at c), or the other way round (at c + 2 e).

* ``majority`` (full; Blum and Hardt's attack): all models but the last have fresh coins and lie at c + e,
  where no verdict is wrong; each verdict is a vote for or against its coins. The last model takes the
  majority on each row, and lies at the boundary.
* ``lucky`` (bounded): models with fresh coins a little nearer to the boundary, until one has the verdict
  that is wanted. From then on each model is that one with a quarter of its coins drawn again, and lies at
  the boundary.

A run is wrong if one of its verdicts is. Any joint law of the models' rows is covered by the union
bound, this one too, although with one old model for all of them x could not be 1 for one model and -1 for
another: that would leave the sender less. All models walk the rows in the same order, for the same reason.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["INDEPENDENT", "LUCKY", "MAJORITY", "simulate"]

INDEPENDENT, MAJORITY, LUCKY = 0, 1, 2
NEARER = 0.4  # of e: how much nearer to the boundary than c + e the models of LUCKY start
NONE, SURE, BRIDGE, COIN = 0, 1, 2, 3


@njit  # type: ignore[untyped-decorator]
def walk(
    x: np.ndarray, c: float, e: float, exponent: float, most: int, bets: np.ndarray, rates: np.ndarray
) -> int:
    """Walk the rows in their order, as SequentialGate does; return 1 for PASS.

    ``most`` is how many rows may differ for the estimate to decide at the end; ``bets`` are distances and
    shares, ``rates`` the largest stake and the prior rows, of :mod:`easeml_ray.gate.walk`.
    """
    distances, shares = bets
    far, grown, size = min(c + 2 * e, (c + e + 1) / 2), np.exp(exponent), len(distances)
    cap_above, cap_below = rates[0] / (c + 1), rates[0] / (1 - far)
    above, below = shares.copy(), shares.copy()
    high = (c + 1) * (1 - c)
    moment, total, differing = rates[1] * high, 0, 0
    for t in range(len(x)):
        stake = e * (rates[1] + t) / moment
        # Decided before a label is asked for, as the gate does.
        if x[t] != 0:
            sum_above, sum_below = 0.0, 0.0
            for j in range(size):
                sum_above += above[j]
                sum_below += below[j]
            if sum_above >= grown:
                return 1
            if sum_below >= grown:
                return 0
        for j in range(size):
            above[j] *= 1 + min(distances[j] * stake, cap_above) * (x[t] - c)
            below[j] *= 1 + min(distances[j] * stake, cap_below) * (far - x[t])
        if t % 256 == 0:
            for j in range(size):  # what is lost stays lost; tiny numbers are slow
                above[j] = 0.0 if above[j] < 1e-30 else above[j]
                below[j] = 0.0 if below[j] < 1e-30 else below[j]
        moment += high if x[t] != 0 else c * c
        total += x[t]
        differing += x[t] != 0
    if above.sum() >= grown:
        return 1
    if below.sum() >= grown:
        return 0
    return 1 if differing <= most and total / len(x) - e > c + 1e-9 * e else 0


@njit  # type: ignore[untyped-decorator]
def judge(
    x: np.ndarray,
    sequential: bool,
    least: int,
    c: float,
    e: float,
    exponent: float,
    most: int,
    bets: np.ndarray,
    rates: np.ndarray,
) -> int:
    """Return 1 for PASS; with a fixed bound, where the sum is at least ``least``."""
    if sequential:
        return walk(x, c, e, exponent, most, bets, rates)
    total = 0
    for i in range(len(x)):
        total += x[i]
    return 1 if total >= least else 0


@njit  # type: ignore[untyped-decorator]
def draw_kinds(kind: np.ndarray, sure: float, bridge: float, q: float, shuffled: bool) -> int:
    """Draw what each row is; return how many rows matter: all, or those with x ≠ 0, which come first."""
    rows = len(kind)
    if shuffled:
        for i in range(rows):
            u = np.random.random()
            kind[i] = SURE if u < sure else BRIDGE if u < sure + bridge else COIN if u < q else NONE
        return rows
    differ = np.random.binomial(rows, q)
    first = np.random.binomial(differ, sure / q)
    second = first
    if differ > first and sure < q:
        second += np.random.binomial(differ - first, min(bridge / (q - sure), 1.0))
    kind[:first], kind[first:second], kind[second:differ] = SURE, BRIDGE, COIN
    return differ


@njit  # type: ignore[untyped-decorator]
def toss(coins: np.ndarray) -> None:
    """Draw fair coins, -1 or 1."""
    for start in range(0, len(coins), 32):
        bits = np.random.randint(0, 1 << 32)
        for i in range(start, min(start + 32, len(coins))):
            coins[i] = 2 * (bits & 1) - 1
            bits >>= 1


@njit  # type: ignore[untyped-decorator]
def toss_again(coins: np.ndarray, kept: np.ndarray) -> None:
    """Take the coins that were kept, a quarter of them drawn again."""
    for start in range(0, len(coins), 16):
        bits = np.random.randint(0, 1 << 48)
        for i in range(start, min(start + 16, len(coins))):
            coins[i] = kept[i] if bits & 3 else ((bits >> 2) & 1) * 2 - 1
            bits >>= 3


@njit  # type: ignore[untyped-decorator]
def answer(x: np.ndarray, kind: np.ndarray, coins: np.ndarray, bridged: bool) -> None:
    """Write a model's rows: its coins, and whether it is sure on the bridges."""
    for i in range(len(x)):
        if kind[i] == COIN or (kind[i] == BRIDGE and not bridged):
            x[i] = coins[i]
        else:
            x[i] = 0 if kind[i] == NONE else 1


@njit  # type: ignore[untyped-decorator]
def draw(x: np.ndarray, up: float, down: float) -> None:
    """Draw rows that are 1, 0 or -1."""
    for i in range(len(x)):
        u = np.random.random()
        x[i] = 1 if u < up else -1 if u < up + down else 0


@njit  # type: ignore[untyped-decorator]
def simulate(
    runs: int,
    seed: int,
    rows: int,
    q: float,
    v: float,
    at_c: bool,
    sender: int,
    steps: int,
    passes: int,
    sequential: bool,
    least: int,
    c: float,
    e: float,
    exponent: float,
    most: int,
    bets: np.ndarray,
    rates: np.ndarray,
    seen: np.ndarray,
    told: np.ndarray,
) -> int:
    """Return in how many runs a verdict was wrong.

    The first runs leave the rows of all their models in ``seen``, their verdicts in ``told`` (-1: none).
    """
    np.random.seed(seed)
    wanted = 1 if at_c else 0
    # Where models lie that only try something out: between the boundaries, and where q lets them.
    trial = c + (1 - NEARER if at_c else 1 + NEARER) * e if sender == LUCKY else c + e
    trial = min(trial, (c + q) / 2)
    row, kind = np.zeros(rows, np.int8), np.zeros(rows, np.int8)
    coins, votes = np.zeros(rows, np.int8), np.zeros(rows, np.int8)
    wrong = 0
    for run in range(runs):
        used, mistaken, passed_so_far, lucky = rows, False, 0, False
        if sender != INDEPENDENT:
            used = draw_kinds(kind, min(v, trial), abs(v - trial), q, sequential)
            votes[:used] = 0
        x = row[:used]
        for step in range(steps):
            counts = True
            if sender == INDEPENDENT:
                draw(x, (q + v) / 2, (q - v) / 2)
            else:
                if sender == MAJORITY:
                    counts = step == steps - 1
                    if counts:
                        coins[:used] = np.where(votes[:used] > 0, 1, -1)
                    else:
                        toss(coins[:used])
                else:
                    counts = lucky
                    if lucky:
                        toss_again(coins[:used], votes[:used])
                    else:
                        toss(coins[:used])
                answer(x, kind, coins, counts != at_c)
            passed = judge(x, sequential, least, c, e, exponent, most, bets, rates)
            if run < len(seen):
                seen[run, step, :used], told[run, step] = x, passed
            passed_so_far += passed
            if counts:
                mistaken = mistaken or passed == wanted
            elif sender == MAJORITY:
                # Coins of 1 raise the estimate: kept after a PASS at c, turned after a FAIL; the majority
                # is of the coins as they were luckiest for the verdict that is wanted.
                for i in range(used):
                    votes[i] += coins[i] if passed == wanted else -coins[i]
            elif passed == wanted:
                votes[:used], lucky = coins[:used], True
            if passed_so_far >= passes or (mistaken and run >= len(seen)):
                break
        wrong += mistaken
    return wrong
