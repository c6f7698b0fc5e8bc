"""What comes from outside as bytes: uploads, test sets, offers; checked before anything is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.errors import HeldOutOverlap, InvalidArgument, InvalidTable, SchemaMismatch, TooLarge
from easeml_ray.gate import judgeable, parse, require, subset_rows
from easeml_ray.gate.work import seal_table
from easeml_ray.ingest import contained, join, pack, prepare, read, row_digests, validate
from easeml_ray.market.messages import MakeOffer
from easeml_ray.messages import Pillar
from easeml_ray.process.task import TaskSpec
from easeml_ray.registry.digests import put_digests, seen, table_digests
from easeml_ray.registry.manifest import make_version
from easeml_ray.registry.messages import AddTestSet, Seal
from easeml_ray.registry.released import released
from easeml_ray.store.base import BlobStore

__all__ = ["Offering", "TestSet", "Upload", "take"]

_MOST_OWNERS = 200  # what each is paid travels in one message
_MOST_CLASS_BYTES = 24 * 1024  # of class names: they travel with the rows that people are asked about
_SHOWN, _NAMED = 5, 20  # rows that an error tells, and that it carries


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A project's first file. ``public_key`` is the gate's."""

    project: str
    tenant: str
    task: TaskSpec
    format: str | None
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSet:
    """A fresh stable test set; without labels, people are asked for those that verdicts need.

    ``known``, ``waiting`` and ``checked`` are what ``FindLatest`` answers: blobs of digests of what ever
    came, tables that came since, and the count of both.
    """

    __test__ = False

    tenant: str
    task: TaskSpec
    format: str | None
    public_key: bytes
    schema: dict[str, Any]
    known: tuple[str, ...]
    waiting: tuple[str, ...]
    checked: int
    labelled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """A seller's rows; ``held_out`` are blobs of digests of what is held out now."""

    offer: str
    seller: str
    price_cents: int
    terms: str
    tenant: str
    task: TaskSpec
    format: str | None
    schema: dict[str, Any]
    held_out: tuple[str, ...]
    owner_column: str | None = None
    labelled: bool = True


def take(asked: Upload | TestSet | Offering, data: bytes, *, blobs: BlobStore, data_key: bytes) -> Any:
    """Check the bytes of what is asked and return the command that brings it to its component."""
    # `data_key` is the key of the digests by which rows are known again.
    return _TAKES[type(asked)](asked, data, blobs, data_key)


def take_upload(asked: Upload, data: bytes, blobs: BlobStore, data_key: bytes) -> Seal:
    """Parse, check and split a file; seal its stable rows; store the pillars.

    The bytes of the file are never stored: stable rows in clear would be among them. Nothing was written
    when it raises InvalidTable, TooFewTestRows or InvalidSpec.
    """
    task, tenant = asked.task, asked.tenant
    shares = {
        Pillar.TRAIN: task.shares.train,
        Pillar.DEVELOPMENT: task.shares.development,
        Pillar.STABLE: task.shares.stable,
    }
    salt = f"{asked.project}:{task.seed}".encode()
    prepared = prepare(
        data,
        format=asked.format,
        label=task.label,
        id_column=task.id_column,
        group_column=task.group_column,
        shares=shares,
        salt=salt,
    )
    schema = {
        "label": prepared.label,
        "features": [[c.name, c.kind] for c in prepared.schema if _wanted(task, c.name)],
        "classes": list(prepared.classes),
        "thresholds": [list(cut) for cut in prepared.thresholds],
        "salt": salt.hex(),
        "train_share": task.shares.train / (task.shares.train + task.shares.development),
    }
    tables = {pillar: _columns(table, schema) for pillar, table in prepared.tables.items()}
    subsets = _enough(tables[Pillar.STABLE], schema, task)
    digests = {pillar: table_digests(table, schema, data_key) for pillar, table in tables.items()}
    version, train, development = make_version(
        blobs,
        tenant,
        project=asked.project,
        number=1,
        parent=0,
        train=tables[Pillar.TRAIN],
        development=tables[Pillar.DEVELOPMENT],
        schema=schema,
        answered=[],
    )
    return Seal(
        upload=hashlib.sha256(data).hexdigest(),
        format=asked.format or "sniffed",
        rows=sum(prepared.rows.values()),
        version=version,
        train=train,
        development=development,
        stable=blobs.put(tenant, seal_table(tables[Pillar.STABLE], schema, asked.public_key)),
        stable_rows=prepared.rows[Pillar.STABLE],
        held_out=put_digests(blobs, tenant, [digests[Pillar.DEVELOPMENT]]),
        stable_held_out=put_digests(blobs, tenant, [digests[Pillar.STABLE]]),
        subset_rows=subsets,
        # The pillar of later versions holds what was filled into missing cells: not these rows.
        known=put_digests(blobs, tenant, [digests[Pillar.TRAIN]]),
    )


def _enough(
    stable: pa.Table, schema: dict[str, Any], task: TaskSpec, labelled: bool = True
) -> dict[str, int]:
    """Refuse too small a test set; return how many rows it has of each slice of the condition."""
    # Of a class, how many are needed: they are there, and how many more there are nobody is told.
    gate = task.gate
    condition = parse(gate.condition)
    judgeable(condition, labelled, meter=bool(gate.meter))
    subsets = subset_rows(stable, schema["label"], condition)
    size = require(
        condition,
        stable.num_rows,
        reliability=gate.reliability,
        steps=gate.steps,
        adaptivity=gate.adaptivity,
        bound=gate.bound,
        meter=gate.meter,
        subsets=subsets,
    )
    for subset in subsets:
        if subset.column is None:
            subsets[subset] = max(part.rows for part in size.clauses if part.clause.subset == subset)
    return {str(subset): rows for subset, rows in subsets.items()}


def _wanted(task: TaskSpec, name: str) -> bool:
    return task.features is None or name in task.features


def _columns(table: pa.Table, schema: dict[str, Any]) -> pa.Table:
    names = [name for name, _ in schema["features"]]
    return table.select(["row_id", "parent_id", "group_id", *names, schema["label"]])


def _labelled_rows(table: pa.Table, schema: dict[str, Any], task: TaskSpec) -> pa.Table:
    """Return further rows of a project as features and label, refused unless they fit."""
    names = [name for name, _ in schema["features"]]
    given = set(table.column_names)
    missing = [n for n in [*names, schema["label"]] if n not in given]
    if missing:
        raise SchemaMismatch(
            f"the file lacks the columns {', '.join(missing[:10])}",
            hint=f"Give the project's columns: {', '.join([*names, schema['label']][:20])}.",
            column=missing[0],
        )
    if task.group_column is not None and task.group_column not in given:
        # Without it nobody could tell whether an entity stands in a test set already.
        raise SchemaMismatch(
            f"the file lacks the group column {task.group_column!r}",
            hint="Give the entity of every row, as in the project's first file.",
            column=task.group_column,
        )
    clean = validate(
        table,
        label=schema["label"],
        id_column=task.id_column if task.id_column in given else None,
        group_column=task.group_column,
        further=True,
    )
    kinds = dict(schema["features"])
    for column in clean.columns:
        if column.name in kinds and column.kind != kinds[column.name]:
            raise SchemaMismatch(
                f"column {column.name!r} is {column.kind}, in the project it is {kinds[column.name]}",
                hint="Give values of the project's kind.",
                column=column.name,
            )
    unknown = sorted(set(clean.classes) - set(schema["classes"]))
    if unknown:
        raise SchemaMismatch(
            f"the file has labels that the project does not know: {', '.join(unknown[:10])}",
            hint=f"Classes of the project: {', '.join(schema['classes'][:20])}.",
            column=schema["label"],
        )
    rows = clean.features.select(names).append_column(schema["label"], clean.labels)
    groups = clean.groups if clean.groups is not None else clean.ids
    if groups is None:
        own = row_digests(rows, names, b"group")
        groups = pa.array([d.hex()[:32] for d in own], pa.string())
    return rows.append_column("group_id", groups)


def take_offering(asked: Offering, data: bytes, blobs: BlobStore, data_key: bytes) -> MakeOffer:
    """Parse and check a seller's rows; rows that a held-out pillar holds are refused."""
    task, tenant, schema = asked.task, asked.tenant, asked.schema
    table = read(data, asked.format)
    owners = _owners(table, asked.owner_column, schema) if asked.owner_column else None
    if asked.labelled:
        rows = _labelled_rows(table, schema, task)
    else:
        rows = _unlabelled_rows(table, schema, task, asked.owner_column)
    found = int(seen(table_digests(rows, schema, data_key), blobs, tenant, asked.held_out).sum())
    if found:
        # Which rows they are would tell the seller what the test set holds.
        raise HeldOutOverlap(
            f"{found} rows of the offer are held out for testing",
            hint="Offer rows that the project does not have.",
            count=found,
            rows=[],
        )
    if owners is not None:
        rows = rows.append_column("owner", owners)
    return MakeOffer(
        offer=asked.offer,
        seller=asked.seller,
        rows=rows.num_rows,
        digest=blobs.put_table(tenant, rows),
        price_cents=asked.price_cents,
        terms=asked.terms,
        owners=1 if owners is None else len(owners.unique()),
        labelled=asked.labelled,
    )


def _unlabelled_rows(
    table: pa.Table, schema: dict[str, Any], task: TaskSpec, owner_column: str | None
) -> pa.Table:
    """Return rows without labels as features, refused unless they fit."""
    if schema["label"] in table.column_names:
        raise SchemaMismatch(
            f"the file has the label column {schema['label']!r} and was given as rows without labels",
            hint="Give it with its labels, or leave the column out.",
            column=schema["label"],
        )
    if owner_column is not None:
        raise InvalidArgument(
            "rows without labels cannot have several owners",
            hint="A price is split by what the rows are worth, which takes labels: make an offer an owner.",
            argument="owner_column",
        )
    # Any class will do: the other columns are checked as those of rows with labels.
    one = pa.array([schema["classes"][0]] * table.num_rows, pa.string())
    rows = _labelled_rows(table.append_column(schema["label"], one), schema, task)
    return rows.drop_columns([schema["label"]])


def _owners(table: pa.Table, name: str, schema: dict[str, Any]) -> pa.Array:
    """Return who owns each row of an offer."""
    if name not in table.column_names:
        raise SchemaMismatch(
            f"the file lacks the owner column {name!r}",
            hint=f"Columns of the file: {', '.join(table.column_names[:20])}.",
            column=name,
        )
    if name == schema["label"] or name in dict(schema["features"]):
        raise SchemaMismatch(
            f"column {name!r} is learnt from and cannot say who owns a row",
            hint="Give owners in a column of their own.",
            column=name,
        )
    try:
        owners = table[name].combine_chunks().cast(pa.string())
    except pa.ArrowException as error:
        raise InvalidTable(
            f"column {name!r} of type {table[name].type} cannot name owners",
            hint="Give names as text or numbers.",
            column=name,
        ) from error
    empty = np.flatnonzero(np.asarray([not owner for owner in owners.to_pylist()], dtype=bool))
    if empty.size:
        raise InvalidTable(
            f"{empty.size} rows have no owner, the first is row {empty[0] + 1}",
            hint="Give every row the name of whom to pay.",
            column=name,
        )
    count = len(owners.unique())
    if count > _MOST_OWNERS:
        raise TooLarge(
            f"an offer of {count} owners is over the limit of {_MOST_OWNERS}",
            hint="Make several offers of it.",
            limit=_MOST_OWNERS,
            size=count,
        )
    return owners


def take_test_set(asked: TestSet, data: bytes, blobs: BlobStore, data_key: bytes) -> AddTestSet:
    """Parse a fresh stable test set and seal it; nothing was written when it raises.

    HeldOutOverlap for rows that ever came: those whose digests stand in a blob of ``known``, and the rows of
    the tables ``waiting``. Else InvalidTable, TooFewTestRows or TooLarge.
    """
    task, tenant, schema = asked.task, asked.tenant, asked.schema
    if not asked.labelled:
        _tellable(schema["classes"])
    table = read(data, asked.format)
    if asked.labelled:
        rows = _labelled_rows(table, schema, task)
    else:
        rows = _unlabelled_rows(table, schema, task, None)
        rows = rows.append_column(schema["label"], pa.nulls(rows.num_rows, pa.string()))
    subsets = _enough(rows, schema, task, asked.labelled)
    digests = table_digests(rows, schema, data_key)
    tables = (released(blobs.get_table(tenant, name), schema) for name in asked.waiting)
    others = [pack(table_digests(table, schema, data_key)) for table in tables]
    _unused(seen(digests, blobs, tenant, asked.known) | contained(digests, join(others)).any(axis=1))
    stable = pa.table(
        {
            "row_id": pa.array(np.full(rows.num_rows, -1, dtype=np.int64)),
            "parent_id": pa.nulls(rows.num_rows, pa.int64()),
            **{name: rows[name] for name in rows.column_names},
        }
    )
    return AddTestSet(
        upload=hashlib.sha256(data).hexdigest(),
        stable=blobs.put(tenant, seal_table(stable, schema, asked.public_key)),
        stable_rows=rows.num_rows,
        held_out=put_digests(blobs, tenant, [digests]),
        checked=asked.checked,
        subset_rows=subsets,
        labelled=asked.labelled,
    )


def _tellable(classes: list[str]) -> None:
    """Refuse classes whose names do not fit into a request to people."""
    size = len(json.dumps(classes))
    if size > _MOST_CLASS_BYTES:
        raise TooLarge(
            f"{len(classes)} classes with names of {size} bytes are too many to choose one from: at most "
            f"{_MOST_CLASS_BYTES} bytes fit into the requests for the labels of the test set",
            hint="Give the test set with its labels, or start a project with fewer classes or shorter names.",
            limit=_MOST_CLASS_BYTES,
            size=size,
        )


def _unused(used: NDArray[np.bool_]) -> None:
    """Refuse a test set with rows that were used."""
    rows = (np.flatnonzero(used) + 1).tolist()
    if rows:
        told = ", ".join(map(str, rows[:_SHOWN])) + (", …" if len(rows) > _SHOWN else "")
        raise HeldOutOverlap(
            f"{len(rows)} rows of the test set were used before (of its rows, counted from 1: {told})",
            hint="A test set is used once: give rows that were never in the project.",
            count=len(rows),
            rows=rows[:_NAMED],
        )


_TAKES: dict[type, Callable[[Any, bytes, BlobStore, bytes], Any]] = {
    Upload: take_upload,
    TestSet: take_test_set,
    Offering: take_offering,
}
