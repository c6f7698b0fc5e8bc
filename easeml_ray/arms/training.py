"""Training one arm and judging it on the development rows.

======  ==========================================================================
symbol  meaning, shape
======  ==========================================================================
X       features from the Encoder, float64 (n_rows, n_features), finite
y       class codes, int64 (n_rows,), in 0 .. n_classes - 1
P       class probabilities, float64 (n_rows, n_classes), rows sum to 1
======  ==========================================================================
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arms.arms import arm_named
from easeml_ray.arms.base import Arm
from easeml_ray.arrays import FloatArray, IntArray, as_features, as_labels, count_classes
from easeml_ray.errors import EasemlError, InvalidArgument, OneClass, TooFewRows, TooLarge, WorkFailed
from easeml_ray.statistics import clopper_pearson

__all__ = ["TrainedModel", "class_probabilities", "train"]

# Its two-sided limits leave 5 % on either side, so the lower one alone holds with 95 %.
TWO_SIDED = 0.90

# Trees compute in float32; anything near its end is not data any more.
LARGEST_FEATURE = 1e30


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A fitted classifier and how it did on the development rows."""

    estimator: Any  # the fitted classifier
    dev_accuracy: float  # share of development rows that it gets right
    dev_lower: float  # exact one-sided 95 % lower confidence limit of its accuracy
    # dev_correct, dev_rows: the counts behind both
    dev_correct: int
    dev_rows: int
    seconds: float  # wall-clock seconds of the fit and of predicting the development rows


def train(
    arm_name: str,
    X: ArrayLike,
    y: ArrayLike,
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    *,
    n_classes: int,
    seed: int,
) -> TrainedModel:
    """Train an arm on train rows and judge it on development rows.

    Parameters
    ----------
    arm_name : str
        One of :func:`easeml_ray.automl.available_arms`.
    X, y : array-like of shape (n_rows, n_features) and (n_rows,)
        Train rows.
    X_dev, y_dev : array-like of shape (n_dev, n_features) and (n_dev,)
        Development rows, at least one.
    n_classes : int
        Classes of the task, at least 2; train may lack some of them.
    seed : int
        Fixes all randomness; reduced modulo 2**32.

    Returns
    -------
    TrainedModel
        The same for the same arguments, but for its seconds.

    Raises
    ------
    InvalidArgument
        If there is no such arm or the arrays do not fit together.
    OneClass, TooFewRows, TooLarge
        If the arm cannot work with this train set.
    WorkFailed
        If the fit itself fails.

    References
    ----------
    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the
    case of the binomial", Biometrika 26 (1934).

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.array([[-1.0], [-0.9], [0.8], [1.0]]), np.array([0, 0, 1, 1])
    >>> model = train("logistic", X, y, X, y, n_classes=3, seed=0)
    >>> model.dev_accuracy, round(model.dev_lower, 4)
    (1.0, 0.4729)
    >>> class_probabilities(model.estimator, X, 3).shape
    (4, 3)
    """
    arm = arm_named(arm_name)
    X = _in_range(as_features(X), "X")
    X_dev = _in_range(as_features(X_dev, "X_dev", n_features=X.shape[1]), "X_dev")
    y = as_labels(y, n_rows=X.shape[0])
    y_dev = as_labels(y_dev, "y_dev", n_rows=X_dev.shape[0])
    n_classes = count_classes(n_classes, y, y_dev)
    _check_limits(arm, y)
    begun = time.perf_counter()
    try:
        estimator = _fitted(arm, X, y, seed)
        probabilities = class_probabilities(estimator, X_dev, n_classes)
    except EasemlError:
        raise
    except Exception as error:
        raise WorkFailed(
            f"training {arm.name} on {X.shape[0]} rows of {X.shape[1]} features failed: {error}",
            action=f"train {arm.name}",
            cause=f"{type(error).__name__}: {error}",
        ) from error
    seconds = time.perf_counter() - begun
    correct = int(np.sum(probabilities.argmax(axis=1) == y_dev))
    rows = X_dev.shape[0]
    _, most_errors = clopper_pearson(rows - correct, rows, confidence=TWO_SIDED)
    return TrainedModel(estimator, correct / rows, 1.0 - float(most_errors), correct, rows, seconds)


def class_probabilities(estimator: Any, X: ArrayLike, n_classes: int) -> FloatArray:
    """Return probabilities of all classes, (n_rows, n_classes), 0 for those that the classifier has not seen.

    There may be no rows at all. InvalidArgument if the features cannot be predicted from, WorkFailed if the
    classifier gives something that is no probability.
    """
    X = _in_range(as_features(X, min_rows=0), "X")
    full = np.zeros((X.shape[0], n_classes))
    if X.shape[0] == 0:
        return full
    full[:, np.asarray(estimator.classes_, dtype=np.int64)] = estimator.predict_proba(X)
    totals = full.sum(axis=1)
    if not np.allclose(totals, 1.0, rtol=0.0, atol=1e-6) or full.min() < 0:
        raise WorkFailed(
            f"{type(estimator).__name__} gave values that are no probabilities",
            action="predict",
            cause=f"row sums from {totals.min()} to {totals.max()}",
        )
    return full


def _in_range(X: FloatArray, argument: str) -> FloatArray:
    """Return the features if every classifier can compute with them."""
    far = np.flatnonzero((np.abs(X) > LARGEST_FEATURE).any(axis=1))
    if far.size:
        raise InvalidArgument(
            f"{argument} holds values beyond {LARGEST_FEATURE:g} in {far.size} row(s), "
            f"the first is row {far[0]}",
            hint="correct these rows",
            argument=argument,
        )
    return X


def _fitted(arm: Arm, X: FloatArray, y: IntArray, seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning

    estimator = arm.build(seed % 2**32)
    with warnings.catch_warnings():
        # A model that has not converged is judged like any other, by its development accuracy.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)


def _check_limits(arm: Arm, y: IntArray) -> None:
    """Raise if the arm cannot work with these train labels."""
    counts = np.bincount(y)
    counts = counts[counts > 0]
    limits = arm.limits
    if counts.size < limits.min_classes:
        raise OneClass(
            f"{arm.name} needs {limits.min_classes} classes, and train has {counts.size}",
            hint="add train rows of the other classes",
        )
    if y.size < limits.min_rows:
        raise TooFewRows(
            f"{arm.name} needs {limits.min_rows} train rows, and there are {y.size}",
            hint="add train rows",
            required=limits.min_rows,
            available=int(y.size),
        )
    if counts.min() < limits.min_rows_per_class:
        raise TooFewRows(
            f"{arm.name} needs {limits.min_rows_per_class} train rows of each class, "
            f"and the rarest has {counts.min()}",
            hint="add train rows of the rare classes, or search without this arm",
            required=limits.min_rows_per_class,
            available=int(counts.min()),
        )
    if limits.max_rows is not None and y.size > limits.max_rows:
        raise TooLarge(
            f"{arm.name} takes at most {limits.max_rows} train rows, and there are {y.size}",
            hint="search without this arm",
            limit=limits.max_rows,
            size=int(y.size),
        )
