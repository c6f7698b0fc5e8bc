"""Quick probe models: what is within reach of a model that costs little."""

from __future__ import annotations

from easeml_ray.probes.models import PROBES, predictions, probe_view

__all__ = ["PROBES", "predictions", "probe_view"]
