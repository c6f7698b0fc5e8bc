"""Arms, their training, and models as they are stored and served."""

from __future__ import annotations

from easeml_ray.arms.arms import ARMS, FLOOR, arm_named, available_arms, searchable_arms
from easeml_ray.arms.base import Arm, Extra, Limits
from easeml_ray.arms.model import ModelMetadata, ServableModel, dump, load
from easeml_ray.arms.training import TrainedModel, class_probabilities, train

__all__ = [
    "ARMS",
    "FLOOR",
    "Arm",
    "Extra",
    "Limits",
    "ModelMetadata",
    "ServableModel",
    "TrainedModel",
    "arm_named",
    "available_arms",
    "class_probabilities",
    "dump",
    "load",
    "searchable_arms",
    "train",
]
