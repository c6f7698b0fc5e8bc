"""Doubts about labels: which are likely wrong, and how many are."""

from __future__ import annotations

from easeml_ray.doubts.labels import estimate_noise, label_beliefs, suspicious
from easeml_ray.doubts.witnesses import Hearing, hear

__all__ = ["Hearing", "estimate_noise", "hear", "label_beliefs", "suspicious"]
