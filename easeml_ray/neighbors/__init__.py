"""Exact nearest neighbours at the speed of a matrix product."""

from __future__ import annotations

from easeml_ray.neighbors.nearest import NearestNeighbor
from easeml_ray.neighbors.neighbors import Found, NearestNeighbors, vote

__all__ = ["Found", "NearestNeighbor", "NearestNeighbors", "vote"]
