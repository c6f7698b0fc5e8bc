"""Feasibility: the Bayes error, its interval, and whether a target is within reach."""

from __future__ import annotations

from easeml_ray.feasibility.bounds import (
    NoiseConvention,
    clean_bayes_error,
    cover_hart_lower_bound,
    cover_hart_upper_bound,
    noise_rate,
    noisy_bayes_error,
    noisy_nearest_neighbor_error,
)
from easeml_ray.feasibility.calibration import BayesBelief, Calibration, Summary, shipped_calibration
from easeml_ray.feasibility.gain import to_gain
from easeml_ray.feasibility.picture import draw
from easeml_ray.feasibility.report import (
    Advice,
    CurvePoint,
    FeasibilityDecision,
    FeasibilityReport,
    SamplesNeeded,
    Step,
)
from easeml_ray.feasibility.study import Study, study
from easeml_ray.neighbors.nearest import NearestNeighbor

__all__ = [
    "Advice",
    "BayesBelief",
    "Calibration",
    "CurvePoint",
    "FeasibilityDecision",
    "FeasibilityReport",
    "NearestNeighbor",
    "NoiseConvention",
    "SamplesNeeded",
    "Step",
    "Study",
    "Summary",
    "clean_bayes_error",
    "cover_hart_lower_bound",
    "cover_hart_upper_bound",
    "draw",
    "noise_rate",
    "noisy_bayes_error",
    "noisy_nearest_neighbor_error",
    "shipped_calibration",
    "study",
    "to_gain",
]
