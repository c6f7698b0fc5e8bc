"""Judging on a test set whose labels come one by one, from people, and are sealed on the way.

With adaptivity ``none`` each clause has its sequential gate and a share of δ; clauses are taken in turn,
and the first FAIL ends it. The order of the rows is that of the era: what was asked for one model is
known for the next ones.

With any other adaptivity a stopping time would be an answer too, so all rows whose labels matter are
asked for: how many these are depends on the models' answers, never on the labels. The estimates then
decide as on a test set that came with labels.

Sealed labels have one length: they hold the number of the class in eight bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from easeml_ray.gate.condition import Condition, Subset
from easeml_ray.gate.estimate import NO_LABEL, estimate, wants_label
from easeml_ray.gate.evaluation import Truth, Verdict
from easeml_ray.gate.sequential import SequentialGate
from easeml_ray.sealing import seal, unseal

__all__ = ["Judged", "Wanted", "judge_asking", "seal_label", "unseal_label"]

# Labels asked for at once: few at first, then a quarter of what is known, as much as may be wasted.
FEWEST, MOST = 8, 48


def seal_label(code: int, public: bytes) -> str:
    """Seal the number of a class to the gate's key, as text of one length."""
    return base64.b64encode(seal(code.to_bytes(8, "big"), public)).decode()


def unseal_label(sealed: str, private: bytes) -> int:
    """Return the number of a class."""
    return int.from_bytes(unseal(base64.b64decode(sealed), private), "big")


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and the truth of each clause that was looked at."""

    verdict: Verdict
    truth: Truth
    clauses: tuple[str, ...]
    labels: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rows whose labels are wanted next."""

    rows: tuple[int, ...]


def judge_asking(
    condition: Condition,
    old: NDArray[np.int64],
    new: NDArray[np.int64],
    known: Mapping[int, int | None],
    *,
    members: Mapping[Subset, NDArray[np.bool_]],
    mode: str,
    reliability: float,
    steps: int,
    adaptivity: str,
    seed: int,
) -> Judged | Wanted:
    """Judge a model with the labels that are known, or say which are wanted; the same for the same arguments.

    The condition has no recall of a class: the class of a row is not known. `old` and `new` are the models'
    answers, (n_rows,); `known` the labels by row, None for one that nobody could label (the worst case);
    `members` the rows of each slice, bool (n_rows,); `seed`, one an era, gives the order of the rows.
    """
    if adaptivity != "none":
        return _all_at_once(condition, old, new, known, members, mode)
    delta = (1 - Decimal(str(reliability))) / len(condition.clauses)
    told: list[str] = []
    used: set[int] = set()
    truths: list[Truth] = []
    for clause in condition.clauses:
        rows = np.flatnonzero(members[clause.subset]) if clause.subset else np.arange(len(old))
        gate = SequentialGate(
            Condition((clause,)),
            mode=mode,
            reliability=1 - delta,
            steps=steps,
            adaptivity=adaptivity,
            rng=np.random.default_rng(seed),
        ).start(old[rows], new[rows])
        missing: list[int] = []
        most = min(max(FEWEST, len(known) // 4), MOST)
        while len(missing) < most and (place := gate.next()) is not None:
            row = int(rows[place])
            if row in known:
                gate.observe(place, known[row])
                used.add(row)
            else:
                missing.append(row)
        if gate.decision is None:
            return Wanted(tuple(missing))
        told.append(f"{clause}: {gate.decision.truth}")
        truths.append(gate.decision.truth)
        if gate.decision.verdict is Verdict.FAIL:
            return Judged(Verdict.FAIL, gate.decision.truth, tuple(told), len(used))
    truth = Truth.TRUE if all(t is Truth.TRUE for t in truths) else Truth.UNKNOWN
    return Judged(Verdict.PASS, truth, tuple(told), len(used))


def _all_at_once(
    condition: Condition,
    old: NDArray[np.int64],
    new: NDArray[np.int64],
    known: Mapping[int, int | None],
    members: Mapping[Subset, NDArray[np.bool_]],
    mode: str,
) -> Judged | Wanted:
    needed = np.zeros(len(old), dtype=bool)
    for clause in condition.clauses:
        rows = members[clause.subset] if clause.subset else np.ones(len(old), dtype=bool)
        needed |= rows & wants_label(clause, old, new)
    missing = [int(row) for row in np.flatnonzero(needed) if int(row) not in known]
    if missing:
        return Wanted(tuple(missing[:MOST]))
    labels = np.full(len(old), NO_LABEL, dtype=np.int64)
    given = {row: code for row, code in known.items() if code is not None}
    labels[list(given)] = list(given.values())
    found = estimate(Condition(condition.clauses), old, new, labels, members=members, mode=mode)
    return Judged(found.verdict, found.truth, found.told, int(needed.sum()))
