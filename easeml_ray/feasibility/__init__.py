"""Feasibility: the Bayes error, its interval, and whether a target is within reach."""

from __future__ import annotations

from easeml_ray.feasibility.bounds import (
    NoiseConvention,
    clean_bayes_error,
    clopper_pearson,
    cover_hart_lower_bound,
    cover_hart_upper_bound,
    noise_rate,
    noisy_bayes_error,
    noisy_nearest_neighbor_error,
)
from easeml_ray.feasibility.gain import to_gain
from easeml_ray.feasibility.nearest import NearestNeighbor
from easeml_ray.feasibility.report import (
    CurvePoint,
    FeasibilityDecision,
    FeasibilityReport,
    SamplesNeeded,
)
from easeml_ray.feasibility.study import default_embeddings, study

__all__ = [
    "CurvePoint",
    "FeasibilityDecision",
    "FeasibilityReport",
    "NearestNeighbor",
    "NoiseConvention",
    "SamplesNeeded",
    "clean_bayes_error",
    "clopper_pearson",
    "cover_hart_lower_bound",
    "cover_hart_upper_bound",
    "default_embeddings",
    "noise_rate",
    "noisy_bayes_error",
    "noisy_nearest_neighbor_error",
    "study",
    "to_gain",
]
