"""One file from its bytes to the tables of the four pillars; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from easeml_ray.ingest.base import MAX_UPLOAD_BYTES, Column, read
from easeml_ray.ingest.digests import row_digests
from easeml_ray.ingest.split import PILLARS, Split, Thresholds, check_classes, split
from easeml_ray.ingest.validate import CleanTable, validate
from easeml_ray.messages import Pillar

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file, parsed, checked and parted."""

    # all four pillars, in file order within each. Columns: ``row_id`` int64, ``parent_id`` int64
    # (missing: an original), ``group_id`` string, the features, the label
    tables: dict[Pillar, pa.Table]
    schema: tuple[Column, ...]  # names and kinds of the features
    label: str  # name of the label column, the last one
    classes: tuple[str, ...]  # the labels that occur, sorted
    thresholds: Thresholds  # where later groups go, by :func:`easeml_ray.ingest.assign`
    rows: dict[Pillar, int]  # number of rows in each pillar


def prepare(
    data: bytes,
    *,
    format: str | None,
    label: str,
    id_column: str | None = None,
    group_column: str | None = None,
    shares: Mapping[Pillar, float],
    salt: bytes,
    first_row_id: int = 0,
    limit: int = MAX_UPLOAD_BYTES,
) -> Prepared:
    r"""Parse a file, check it, and part its rows into pillars by entity group.

    The group of a row is its value in the group column, else its id, else a keyed digest of its
    features: without either column, rows with equal features count as one entity, because a
    copy of a training row in a test set would test nothing.

    Parameters
    ----------
    data : bytes
        The whole file.
    format : {"csv", "parquet"} or None
        None looks at the bytes.
    label, id_column, group_column : str
        As for :func:`easeml_ray.ingest.validate`. Id and group are not features.
    shares : mapping of Pillar to float
        Parts of the rows that the pillars get; they sum to 1.
    salt : bytes
        The project's secret; the same salt parts the same file alike.
    first_row_id : int
        ``row_id`` of the first row; the others follow by position in the file.
    limit : int
        Upper limit of the file, in bytes.

    Raises
    ------
    InvalidTable
        In one of its forms, when the file cannot be used.
    InvalidArgument, TooLarge
        If a parameter or the size is out of bounds.

    Examples
    --------
    >>> lines = ["size,colour,sold"] + [f"{n},{'rgb'[n % 3]},{n % 2}" for n in range(100)]
    >>> made = prepare(
    ...     "\n".join(lines).encode(), format="csv", label="sold", salt=b"secret",
    ...     shares={Pillar.TRAIN: 0.6, Pillar.DEVELOPMENT: 0.2, Pillar.STABLE: 0.2},
    ... )
    >>> [made.rows[pillar] for pillar in PILLARS], made.classes
    ([60, 20, 20, 0], ('0', '1'))
    >>> made.tables[Pillar.TRAIN].column_names
    ['row_id', 'parent_id', 'group_id', 'size', 'colour', 'sold']
    """
    clean = validate(
        read(data, format, limit=limit), label=label, id_column=id_column, group_column=group_column
    )
    groups = _groups(clean, salt)
    parts = split(groups, shares, salt=salt)
    check_classes(parts, clean.labels, shares)
    tables = _tables(clean, groups, parts, first_row_id)
    return Prepared(
        tables=tables,
        schema=clean.columns,
        label=clean.label,
        classes=clean.classes,
        thresholds=parts.thresholds,
        rows={pillar: table.num_rows for pillar, table in tables.items()},
    )


def _groups(clean: CleanTable, salt: bytes) -> pa.StringArray:
    if clean.groups is not None:
        return clean.groups
    if clean.ids is not None:
        return clean.ids
    digests = row_digests(clean.features, clean.features.column_names, salt)
    return pa.array([digest.hex()[:32] for digest in digests], pa.string())


def _tables(
    clean: CleanTable, groups: pa.StringArray, parts: Split, first_row_id: int
) -> dict[Pillar, pa.Table]:
    n_rows = clean.features.num_rows
    whole = pa.table(
        [
            pa.array(np.arange(first_row_id, first_row_id + n_rows, dtype=np.int64)),
            pa.nulls(n_rows, pa.int64()),
            groups,
            *clean.features.columns,
            clean.labels,
        ],
        names=["row_id", "parent_id", "group_id", *clean.features.column_names, clean.label],
    )
    return {pillar: whole.take(parts.positions(pillar)) for pillar in PILLARS}
