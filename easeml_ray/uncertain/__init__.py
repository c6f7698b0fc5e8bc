"""Uncertain tables: rows that are one of several alternatives."""

from __future__ import annotations

from easeml_ray.uncertain.table import UncertainTable

__all__ = ["UncertainTable"]
