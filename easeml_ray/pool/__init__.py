"""The pool: online selection among models that have passed the gate."""

from __future__ import annotations

from easeml_ray.pool.picker import ModelPicker, Query

__all__ = ["ModelPicker", "Query"]
