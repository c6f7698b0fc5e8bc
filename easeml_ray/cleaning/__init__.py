"""What to clean, and what it is worth: certain predictions over uncertain train data."""

from __future__ import annotations

from easeml_ray.cleaning.actions import CleaningAdvice, advise
from easeml_ray.cleaning.batches import Batch
from easeml_ray.cleaning.cells import CellGain, cell_gain, rank_cells
from easeml_ray.cleaning.cpclean import CPClean
from easeml_ray.cleaning.gain import RelabelEvidence, RowEvidence, to_gain
from easeml_ray.cleaning.queries import conditional_label_probabilities, label_probabilities, possible_labels
from easeml_ray.cleaning.worlds import CleaningBelief

__all__ = [
    "Batch",
    "CPClean",
    "CellGain",
    "CleaningAdvice",
    "CleaningBelief",
    "RelabelEvidence",
    "RowEvidence",
    "advise",
    "cell_gain",
    "conditional_label_probabilities",
    "label_probabilities",
    "possible_labels",
    "rank_cells",
    "to_gain",
]
