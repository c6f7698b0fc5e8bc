"""Gains in accuracy: what a step brought, measured on paired answers."""

from __future__ import annotations

from easeml_ray.gains.paired import paired_gain

__all__ = ["paired_gain"]
