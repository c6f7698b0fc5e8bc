"""Quick probe models: what is within reach of a model that costs little."""

from __future__ import annotations

from easeml_ray.probes.models import PROBES, Probe, floored, predictions, probe_view

__all__ = ["PROBES", "Probe", "floored", "predictions", "probe_view"]
