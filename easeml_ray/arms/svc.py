"""A support vector machine with a Gaussian kernel."""

from __future__ import annotations

from typing import Any

from easeml_ray.arms.base import Limits

__all__ = ["SupportVectors"]

FOLDS = 3


class SupportVectors:
    """A kernel machine whose scores become probabilities by a sigmoid fitted on held-out folds."""

    name = "svc"
    family = "kernel"
    cost_hint = 4.0
    # The fit takes more than the square of the rows; the folds need a row of each class.
    limits = Limits(max_rows=20_000, min_rows_per_class=FOLDS)
    extra = None

    def build(self, seed: int) -> Any:
        """Return a new, unfitted classifier; see :class:`easeml_ray.arms.base.Arm`."""
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.svm import SVC

        # A number rather than a splitter of our own, which would not be a type that may be loaded.
        return CalibratedClassifierCV(SVC(), method="sigmoid", cv=FOLDS, ensemble=False, n_jobs=1)
