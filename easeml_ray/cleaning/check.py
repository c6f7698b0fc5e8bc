"""What a step brought the tenant's own model: the check that asks no nearest neighbour.

The belief and the ranking of the Cleaner speak of a vote of nearest neighbours. Whether a model of
another family gained as well is seen by training the tenant's best arm on the version before the
step and on the one after it, with one seed, and by asking both about the same development rows,
those of the newer version (a step may have corrected development labels).

Symbols
-------
n = development rows; b, c = rows that only the newer, only the older model has right
d = (b - c) / n, rise of the accuracy
z = 1.645, half-width of a 90 % interval in standard deviations
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arms.training import class_probabilities, train
from easeml_ray.cleaning.messages import CompareVersions, ReportCheck
from easeml_ray.component.base import Bench, Job
from easeml_ray.component.data import encoded, load_encoder, load_schema, most_probable
from easeml_ray.embed import Classes
from easeml_ray.errors import InvalidArgument
from easeml_ray.messages import Gain, Pillar

__all__ = ["compare_versions", "paired_gain"]

_HALF_WIDTH = 1.645


def paired_gain(before: ArrayLike, after: ArrayLike, *, target: float) -> Gain:
    """Return the rise of the accuracy from one model to another on the same rows.

    Parameters
    ----------
    before, after : array-like of bool, shape (n,)
        Whether the older and the newer model have each row right.
    target : float
        Accuracy beyond which nothing is gained.

    Returns
    -------
    Gain
        The rise ``min(after, target) - min(before, target)``, with the 90 % interval of the
        difference of paired shares by adding half a row to each of the four outcomes.

    Raises
    ------
    InvalidArgument
        If the two do not have one value a row, or there are no rows.

    References
    ----------
    A. Agresti and Y. Min, "Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 24 (2005).

    Examples
    --------
    Of ten rows the newer model has two right that the older one had not:

    >>> gain = paired_gain([1] * 7 + [0] * 3, [1] * 9 + [0], target=1.0)
    >>> round(gain.mean, 2), round(gain.lower, 2), round(gain.upper, 2)
    (0.2, -0.06, 0.3)
    """
    old, new = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    if old.ndim != 1 or old.shape != new.shape or not old.size:
        raise InvalidArgument(
            f"answers of shapes {old.shape} and {new.shape}",
            hint="Give one value a row for each model.",
            argument="after",
        )
    n, won, lost = old.size, int((new & ~old).sum()), int((old & ~new).sum())
    padded = n + 2
    centre = (won - lost) / padded
    half = _HALF_WIDTH * sqrt(((won + lost + 1) / padded - centre**2) / padded)
    rise = (won - lost) / n
    low, high = min(centre - half, rise), max(centre + half, rise)
    base = float(old.mean())
    capped = [min(base + change, target) - min(base, target) for change in (rise, low, high)]
    return Gain(*capped)


def compare_versions(job: Job, bench: Bench) -> ReportCheck:
    """Train the arm on both versions and ask both about the newer development rows."""
    body: CompareVersions = job.body
    schema = load_schema(bench, job.tenant, body.after)
    table = most_probable(bench.table(body.after.development))
    y = Classes(tuple(schema["classes"])).encode(table[schema["label"]])
    right = []
    for version in (body.before, body.after):
        rows = encoded(bench, job.tenant, version, Pillar.TRAIN)
        # Each model reads the rows by the encoder that its own version was given.
        X = load_encoder(bench, job.tenant, version).transform(table)
        trained = train(body.arm, rows.X, rows.y, X, y, n_classes=version.n_classes, seed=job.seed)
        answers = class_probabilities(trained.estimator, X, version.n_classes).argmax(axis=1)
        right.append(answers == y)
    gain = paired_gain(*right, target=body.target_accuracy)
    before, after = (float(one.mean()) for one in right)
    return ReportCheck(
        option=body.option,
        kind=body.kind,
        arm=body.arm,
        number=body.after.number,
        rows=len(y),
        before=before,
        after=after,
        gain=gain,
    )
