"""Which rows of a table a clause speaks of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from easeml_ray.errors import InvalidArgument
from easeml_ray.gate.condition import Condition, Subset

__all__ = ["judgeable", "members", "subset_rows"]


def members(table: pa.Table, label: str, subset: Subset) -> NDArray[np.bool_]:
    """Tell the rows of a slice or a class, (n_rows,); in a column of numbers ``"3"`` finds 3 and 3.0."""
    name = label if subset.column is None else subset.column
    known = [n for n in table.column_names if n not in ("row_id", "parent_id", "group_id", label)]
    if subset.column is not None and name not in known:
        raise InvalidArgument(
            f"The condition speaks of the {subset}, and there is no feature {name!r}.",
            hint=f"features are {', '.join(known[:20])}",
            argument="condition",
        )
    column = table[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        try:
            value = float(subset.value)
        except ValueError as error:
            raise InvalidArgument(
                f"The condition speaks of the {subset}, and {name!r} holds numbers.", argument="condition"
            ) from error
        equal = pc.equal(column.cast(pa.float64()), value)
    else:
        equal = pc.equal(column.cast(pa.string()), subset.value)
    return np.asarray(pc.fill_null(equal, False).to_numpy(zero_copy_only=False), dtype=bool)


def subset_rows(table: pa.Table, label: str, condition: Condition) -> dict[Subset, int]:
    """Count the rows of every slice and class that a condition speaks of, in features and label."""
    return {subset: int(members(table, label, subset).sum()) for subset in condition.subsets}


def judgeable(condition: Condition, labelled: bool, *, meter: bool = False) -> None:
    """Refuse a condition that a test set without labels cannot decide.

    InvalidArgument if it speaks of the rows of a class, and nobody knows which these are, or if a meter is to
    be read, which takes the labels of all rows.
    """
    if meter and not labelled:
        raise InvalidArgument(
            "The task's meter is read on the labels of all test rows, and the test set came without labels.",
            hint="give a test set with labels, or make a project without gate.meter",
            argument="meter",
        )
    classes = [subset for subset in condition.subsets if subset.column is None]
    if classes and not labelled:
        raise InvalidArgument(
            f"The condition speaks of the {classes[0]}, and the test set came without labels.",
            hint="give a test set with labels, or leave recall out of the condition",
            argument="condition",
        )
