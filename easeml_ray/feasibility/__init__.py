"""Feasibility: the Bayes error, its interval, and whether a target is within reach."""

from __future__ import annotations

from easeml_ray.feasibility.bounds import cover_hart_lower_bound
from easeml_ray.feasibility.picture import draw
from easeml_ray.feasibility.report import FeasibilityDecision, FeasibilityReport
from easeml_ray.feasibility.study import Study, study
from easeml_ray.neighbors.nearest import NearestNeighbor

__all__ = [
    "FeasibilityDecision",
    "FeasibilityReport",
    "NearestNeighbor",
    "Study",
    "cover_hart_lower_bound",
    "draw",
    "study",
]
