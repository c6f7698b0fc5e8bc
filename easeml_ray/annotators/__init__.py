"""Programmed annotators: they answer requests as people would, and are named as what they are."""

from __future__ import annotations

from easeml_ray.annotators.base import Annotator, Value
from easeml_ray.annotators.listed import AnswerList
from easeml_ray.annotators.truth import TruthTable

__all__ = ["Annotator", "AnswerList", "TruthTable", "Value"]
