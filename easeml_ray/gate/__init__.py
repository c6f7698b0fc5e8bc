"""The gate: test conditions, their guarantee, and the sealing of the test set."""

from __future__ import annotations

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
from easeml_ray.gate.sealing import new_private_key, public_key, seal, unseal
from easeml_ray.gate.sizes import SampleSize, require, sample_size, ways_out

__all__ = [
    "Clause",
    "ClauseEvaluation",
    "Condition",
    "Evaluation",
    "Latency",
    "SampleSize",
    "Subset",
    "Truth",
    "Verdict",
    "contradictions",
    "evaluate",
    "least_accuracy",
    "new_private_key",
    "parse",
    "public_key",
    "reachable",
    "require",
    "sample_size",
    "seal",
    "unseal",
    "ways_out",
]
