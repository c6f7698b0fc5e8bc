"""What to clean, and what it is worth: certain predictions over uncertain train data."""

from __future__ import annotations

from easeml_ray.cleaning.cpclean import CPClean
from easeml_ray.cleaning.queries import label_probabilities, possible_labels
from easeml_ray.cleaning.worlds import CleaningBelief

__all__ = ["CPClean", "CleaningBelief", "label_probabilities", "possible_labels"]
