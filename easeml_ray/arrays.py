"""What an array must be before the numerics of a component may read it.

Symbols
-------
X = features, float64 (n_rows, n_features), finite
y = class codes, int64 (n_rows,), each in 0 .. n_classes - 1
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.errors import InvalidArgument

__all__ = ["FloatArray", "IntArray", "as_features", "as_labels", "count_classes"]

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

# The square of a difference of two such values, summed over any real table, stays finite.
LARGEST_VALUE = 1e140


def as_features(
    X: ArrayLike, argument: str = "X", *, n_features: int | None = None, min_rows: int = 1
) -> FloatArray:
    """Return features as a C-contiguous float64 array, (n_rows, n_features), uncopied if they are one.

    `argument` is the caller's name of the array, for the InvalidArgument that says what is wrong with it.
    """
    try:
        array = np.ascontiguousarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"{argument} is not an array of numbers",
            hint="Encode the table with easeml_ray.embed.Encoder first.",
            argument=argument,
        ) from error
    # ascontiguousarray makes a scalar one-dimensional, so only the width needs a look.
    if array.ndim != 2:
        raise InvalidArgument(
            f"{argument} has {array.ndim} dimension(s), not the two of (rows, features)",
            hint="Give one row an item; a single feature needs shape (n_rows, 1).",
            argument=argument,
        )
    if array.shape[0] < min_rows:
        raise InvalidArgument(
            f"{argument} has {array.shape[0]} row(s); at least {min_rows} needed",
            hint="Give more rows.",
            argument=argument,
        )
    if array.shape[1] == 0:
        raise InvalidArgument(f"{argument} has no features", hint="Name a feature.", argument=argument)
    if n_features is not None and array.shape[1] != n_features:
        raise InvalidArgument(
            f"{argument} has {array.shape[1]} features, the other rows have {n_features}",
            hint="Encode all tables with the same fitted Encoder.",
            argument=argument,
        )
    # NaN goes through both, and two numbers tell of all cells.
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise InvalidArgument(
            f"{argument} holds NaN or infinity in {bad.size} row(s), the first is row {bad[0]}",
            hint="Repair or impute missing cells first.",
            argument=argument,
        )
    if max(high, -low) > LARGEST_VALUE:
        raise InvalidArgument(
            f"{argument} holds values beyond {LARGEST_VALUE:g}, whose squared distances overflow",
            hint="Standardise the features.",
            argument=argument,
        )
    return array


def as_labels(
    y: ArrayLike, argument: str = "y", *, n_rows: int | None = None, n_classes: int | None = None
) -> IntArray:
    """Return class codes as int64, (n_rows,), each in [0, n_classes).

    `argument` is the caller's name of the array, for the InvalidArgument that says what is wrong with it.
    """
    array = np.asarray(y)
    if array.ndim != 1:
        raise InvalidArgument(
            f"{argument} has {array.ndim} dimension(s), not one",
            hint="Give one code a row.",
            argument=argument,
        )
    if n_rows is not None and array.shape[0] != n_rows:
        raise InvalidArgument(
            f"{argument} has {array.shape[0]} labels for {n_rows} rows",
            hint="Give one label a row.",
            argument=argument,
        )
    if array.size and array.dtype.kind not in "iub":
        whole = array.dtype.kind == "f" and bool(
            np.all(np.isfinite(array)) and np.all(array == np.floor(array))
        )
        if not whole:
            raise InvalidArgument(
                f"{argument} holds {array.dtype} values, not class codes",
                hint="Encode labels with easeml_ray.embed.Classes.",
                argument=argument,
            )
    codes = array.astype(np.int64)
    if codes.size and codes.min() < 0:
        raise InvalidArgument(
            f"{argument} holds the negative code {codes.min()}", hint="Codes start at 0.", argument=argument
        )
    if codes.size and n_classes is not None and codes.max() >= n_classes:
        raise InvalidArgument(
            f"{argument} holds code {codes.max()}, but n_classes is {n_classes}",
            hint=f"Give n_classes of at least {codes.max() + 1}",
            argument=argument,
        )
    return codes


def count_classes(n_classes: int | None, *labels: IntArray) -> int:
    """Return the number of classes, at least 2: the one given, if codes fit into it, or what they imply."""
    largest = max((int(codes.max()) for codes in labels if codes.size), default=-1)
    if n_classes is None:
        return max(2, largest + 1)
    if n_classes < 2 or n_classes <= largest:
        raise InvalidArgument(
            f"n_classes is {n_classes}, but the labels need at least {max(2, largest + 1)}",
            hint="Count every class that may occur, not only those seen.",
            argument="n_classes",
        )
    return int(n_classes)
