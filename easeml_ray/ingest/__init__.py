"""From the bytes of a file to the four pillars of a project.

``read`` parses, ``validate`` refuses what cannot be learnt from, ``split`` parts the rows by
entity group before anything else is done to them, and ``prepare`` is the three in a row.
"""

from __future__ import annotations

from easeml_ray.ingest.base import MAX_UPLOAD_BYTES, NULL_SPELLINGS, Column, read
from easeml_ray.ingest.digests import (
    Digests,
    contained,
    group_digests,
    join,
    overlap,
    pack,
    row_digests,
    shorten,
)
from easeml_ray.ingest.prepare import Prepared, prepare
from easeml_ray.ingest.split import PILLARS, Split, Thresholds, assign, split
from easeml_ray.ingest.validate import CleanTable, validate

__all__ = [
    "MAX_UPLOAD_BYTES",
    "NULL_SPELLINGS",
    "PILLARS",
    "CleanTable",
    "Column",
    "Digests",
    "Prepared",
    "Split",
    "Thresholds",
    "assign",
    "contained",
    "group_digests",
    "join",
    "overlap",
    "pack",
    "prepare",
    "read",
    "row_digests",
    "shorten",
    "split",
    "validate",
]
