"""The gate: test conditions, their guarantee, and the sealing of the test set."""

from __future__ import annotations

from easeml_ray.gate.adaptivity import leaked_bits
from easeml_ray.gate.condition import Clause, Condition, Latency, Subset
from easeml_ray.gate.contradictions import contradictions
from easeml_ray.gate.evaluation import (
    ClauseEvaluation,
    Evaluation,
    Truth,
    Verdict,
    evaluate,
    least_accuracy,
    reachable,
)
from easeml_ray.gate.language import parse
from easeml_ray.gate.meter import MeterReading, OverfittingMeter
from easeml_ray.gate.sequential import GateDecision, SequentialGate
from easeml_ray.gate.sizes import ClauseSize, SampleSize, sample_size
from easeml_ray.gate.subsets import judgeable, members, subset_rows
from easeml_ray.gate.ways import require, ways_out

__all__ = [
    "Clause",
    "ClauseEvaluation",
    "ClauseSize",
    "Condition",
    "Evaluation",
    "GateDecision",
    "Latency",
    "MeterReading",
    "OverfittingMeter",
    "SampleSize",
    "SequentialGate",
    "Subset",
    "Truth",
    "Verdict",
    "contradictions",
    "evaluate",
    "judgeable",
    "leaked_bits",
    "least_accuracy",
    "members",
    "parse",
    "reachable",
    "require",
    "sample_size",
    "subset_rows",
    "ways_out",
]
