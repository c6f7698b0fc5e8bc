"""Augmentation: repairs of missing cells, which turn a table into an uncertain one."""

from __future__ import annotations

from easeml_ray.augment.base import Repairer
from easeml_ray.augment.repairs import DEFAULT_REPAIRERS, REPAIRERS, alternatives, repairer_named

__all__ = ["DEFAULT_REPAIRERS", "REPAIRERS", "Repairer", "alternatives", "repairer_named"]
