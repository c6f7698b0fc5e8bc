"""The gate: test conditions, their guarantee, and the sealing of the test set."""

from __future__ import annotations

from easeml_ray.gate.adaptivity import leaked_bits
from easeml_ray.gate.condition import Clause, Condition
from easeml_ray.gate.contradictions import contradictions
from easeml_ray.gate.evaluation import Evaluation, Truth, Verdict, evaluate, least_accuracy
from easeml_ray.gate.language import parse
from easeml_ray.gate.meter import OverfittingMeter
from easeml_ray.gate.sequential import GateDecision, SequentialGate
from easeml_ray.gate.sizes import SampleSize, sample_size
from easeml_ray.gate.subsets import judgeable, subset_rows
from easeml_ray.gate.ways import require, ways_out

__all__ = [
    "Clause",
    "Condition",
    "Evaluation",
    "GateDecision",
    "OverfittingMeter",
    "SampleSize",
    "SequentialGate",
    "Truth",
    "Verdict",
    "contradictions",
    "evaluate",
    "judgeable",
    "leaked_bits",
    "least_accuracy",
    "parse",
    "require",
    "sample_size",
    "subset_rows",
    "ways_out",
]
