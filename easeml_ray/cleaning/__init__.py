"""What to clean, and what it is worth: certain predictions over uncertain train data."""

from __future__ import annotations

from easeml_ray.cleaning.actions import CleaningAdvice, advise
from easeml_ray.cleaning.batches import Batch
from easeml_ray.cleaning.cells import CellGain, cell_gain, rank_cells
from easeml_ray.cleaning.cpclean import CPClean
from easeml_ray.cleaning.gain import RelabelEvidence, RowEvidence, to_gain
from easeml_ray.cleaning.labels import confusion, estimate_noise, label_beliefs, suspicious
from easeml_ray.cleaning.queries import conditional_label_probabilities, label_probabilities, possible_labels
from easeml_ray.cleaning.witnesses import WITNESSES, Hearing, hear
from easeml_ray.cleaning.worlds import CleaningBelief

__all__ = [
    "WITNESSES",
    "Batch",
    "CPClean",
    "CellGain",
    "CleaningAdvice",
    "CleaningBelief",
    "Hearing",
    "RelabelEvidence",
    "RowEvidence",
    "advise",
    "cell_gain",
    "conditional_label_probabilities",
    "confusion",
    "estimate_noise",
    "hear",
    "label_beliefs",
    "label_probabilities",
    "possible_labels",
    "rank_cells",
    "suspicious",
    "to_gain",
]
