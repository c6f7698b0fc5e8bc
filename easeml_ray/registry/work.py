"""DataRegistry's work: uploads to pillars, repairs to alternatives, answers to versions."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from easeml_ray.augment import alternatives
from easeml_ray.component.base import Bench, Job, Perform
from easeml_ray.component.data import load_schema
from easeml_ray.errors import (
    Conflict,
    HeldOutOverlap,
    InvalidArgument,
    InvalidTable,
    SchemaMismatch,
    TooLarge,
)
from easeml_ray.gate import judgeable, parse, require, subset_rows
from easeml_ray.gate.work import seal_table
from easeml_ray.ingest import Digests, contained, join, pack, prepare, read, row_digests, validate
from easeml_ray.market.messages import MakeOffer
from easeml_ray.messages import DataVersion, Pillar
from easeml_ray.process.task import TaskSpec
from easeml_ray.registry.digests import put_digests, seen, settled_cells, table_digests
from easeml_ray.registry.manifest import make_version
from easeml_ray.registry.messages import (
    AddTestSet,
    AddVersion,
    Arrival,
    Correction,
    KeepVersion,
    RepairAlternatives,
    ReviseVersion,
    Seal,
)
from easeml_ray.store.base import BlobStore
from easeml_ray.uncertain import UncertainTable

__all__ = [
    "WORK",
    "prepare_offer",
    "prepare_test_set",
    "prepare_upload",
    "repair_alternatives",
    "revise_version",
]


# -- from bytes: nothing is written before everything is checked -----------------------------

_MOST_OWNERS = 200  # what each is paid travels in one message
_MOST_CLASS_BYTES = 24 * 1024  # of class names: they travel with the rows that people are asked about
_SHOWN, _NAMED = 5, 20  # rows that an error tells, and that it carries


def prepare_upload(
    data: bytes,
    *,
    project: str,
    tenant: str,
    task: TaskSpec,
    format: str | None,
    public_key: bytes,
    data_key: bytes,
    blobs: BlobStore,
) -> Seal:
    """Parse, check and split a file; seal its stable rows; store the pillars.

    The bytes of the file are never stored: stable rows in clear would be among them.

    Raises
    ------
    InvalidTable, TooFewTestRows, InvalidSpec
        The file, the test set or the task cannot be used; nothing was written.
    """
    shares = {
        Pillar.TRAIN: task.shares.train,
        Pillar.DEVELOPMENT: task.shares.development,
        Pillar.STABLE: task.shares.stable,
    }
    salt = f"{project}:{task.seed}".encode()
    prepared = prepare(
        data,
        format=format,
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
        project=project,
        number=1,
        parent=0,
        train=tables[Pillar.TRAIN],
        development=tables[Pillar.DEVELOPMENT],
        schema=schema,
        verified=[],
    )
    return Seal(
        upload=hashlib.sha256(data).hexdigest(),
        format=format or "sniffed",
        rows=sum(prepared.rows.values()),
        version=version,
        train=train,
        development=development,
        stable=blobs.put(tenant, seal_table(tables[Pillar.STABLE], schema, public_key)),
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
    """Refuse too small a test set; return how many rows it has of each slice of the condition.

    Of a class, how many are needed: they are there, and how many more there are nobody is told.
    """
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


def prepare_offer(
    data: bytes,
    *,
    offer: str,
    seller: str,
    price_cents: int,
    terms: str,
    owner_column: str | None,
    labelled: bool,
    format: str | None,
    tenant: str,
    task: TaskSpec,
    schema: dict[str, Any],
    held_out: tuple[str, ...],
    data_key: bytes,
    blobs: BlobStore,
) -> MakeOffer:
    """Parse and check a seller's rows; rows that a held-out pillar holds are refused."""
    table = read(data, format)
    owners = _owners(table, owner_column, schema) if owner_column else None
    if labelled:
        rows = _labelled_rows(table, schema, task)
    else:
        rows = _unlabelled_rows(table, schema, task, owner_column)
    found = int(seen(table_digests(rows, schema, data_key), blobs, tenant, held_out).sum())
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
    digest = blobs.put_table(tenant, rows)
    count = 1 if owners is None else len(owners.unique())
    return MakeOffer(offer, seller, rows.num_rows, digest, price_cents, terms, count, labelled)


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


def prepare_test_set(
    data: bytes,
    *,
    format: str | None,
    tenant: str,
    task: TaskSpec,
    schema: dict[str, Any],
    public_key: bytes,
    data_key: bytes,
    blobs: BlobStore,
    known: tuple[str, ...],
    waiting: tuple[str, ...],
    checked: int,
    labelled: bool = True,
) -> AddTestSet:
    """Parse a fresh stable test set and seal it.

    Without labels, people are asked for those that verdicts need.

    Refused are rows that ever came: those whose digests stand in a blob of ``known``, and the rows of the
    tables ``waiting``. That is what came until the count ``checked``, of ``FindLatest``.

    Raises
    ------
    HeldOutOverlap, InvalidTable, TooFewTestRows, TooLarge
        The file cannot be used; nothing was written.
    """
    if not labelled:
        _tellable(schema["classes"])
    table = read(data, format)
    if labelled:
        rows = _labelled_rows(table, schema, task)
    else:
        rows = _unlabelled_rows(table, schema, task, None)
        rows = rows.append_column(schema["label"], pa.nulls(rows.num_rows, pa.string()))
    subsets = _enough(rows, schema, task, labelled)
    digests = table_digests(rows, schema, data_key)
    tables = (_released(blobs.get_table(tenant, name), schema) for name in waiting)
    others = [pack(table_digests(table, schema, data_key)) for table in tables]
    _unused(seen(digests, blobs, tenant, known) | contained(digests, join(others)).any(axis=1))
    stable = pa.table(
        {
            "row_id": pa.array(np.full(rows.num_rows, -1, dtype=np.int64)),
            "parent_id": pa.nulls(rows.num_rows, pa.int64()),
            **{name: rows[name] for name in rows.column_names},
        }
    )
    return AddTestSet(
        upload=hashlib.sha256(data).hexdigest(),
        stable=blobs.put(tenant, seal_table(stable, schema, public_key)),
        stable_rows=rows.num_rows,
        held_out=put_digests(blobs, tenant, [digests]),
        checked=checked,
        subset_rows=subsets,
        labelled=labelled,
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


# -- new versions ---------------------------------------------------------------------------


def repair_alternatives(job: Job, bench: Bench) -> AddVersion | KeepVersion:
    """Complete each incomplete train row once per repair strategy; keep a complete version."""
    body: RepairAlternatives = job.body
    version = body.version
    schema = load_schema(bench, job.tenant, version)
    names = [name for name, _ in schema["features"]]
    table = bench.table(version.train)
    if not any(table[name].null_count for name in names):
        return KeepVersion(version.number)
    certain = "probability" not in table.column_names
    repaired = alternatives(table, names, schema["label"]) if certain else _repair_rest(table, schema)
    return _added(job, bench, version, repaired, bench.table(version.development), schema, "augmentation")


def _repair_rest(table: pa.Table, schema: dict[str, Any]) -> pa.Table:
    """Repair rows that joined an uncertain table; those that have alternatives keep them."""
    names = [name for name, _ in schema["features"]]
    missing = np.zeros(table.num_rows, dtype=bool)
    for name in names:
        missing |= table[name].is_null().to_numpy()
    whole = table.filter(pa.array(~missing))
    fresh = table.filter(pa.array(missing)).drop_columns(["probability"])
    # Strategies learn from all rows, so they see the complete ones too.
    seen = UncertainTable(whole).most_probable()
    seen = seen.drop_columns(["probability"]) if "probability" in seen.column_names else seen
    both = pa.concat_tables([seen.select(fresh.column_names), fresh])
    repaired = alternatives(both, names, schema["label"])
    wanted = pc.is_in(repaired["row_id"], value_set=fresh["row_id"].combine_chunks())
    return pa.concat_tables([whole, repaired.filter(wanted).select(whole.column_names)])


def _added(
    job: Job,
    bench: Bench,
    base: DataVersion,
    train: pa.Table,
    development: pa.Table,
    schema: dict[str, Any],
    reason: str,
    *,
    verified: list[str] | None = None,
    added: int = 0,
    refused: int = 0,
    held_out: str = "",
    arrivals: tuple[Arrival, ...] = (),
    came: str = "",
) -> AddVersion:
    known = bench.blobs.get_json(job.tenant, base.verified) if base.verified else []
    version, train_parts, development_parts = make_version(
        bench.blobs,
        job.tenant,
        project=base.project,
        number=base.number + 1,
        parent=base.number,
        train=train,
        development=development,
        schema=schema,
        verified=[*known, *(verified or [])],
    )
    counts = {
        "added": float(added),
        "refused": float(refused),
        "corrected": float(len(verified or [])),
        "entropy_bits": UncertainTable(train).entropy() if "probability" in train.column_names else 0.0,
    }
    return AddVersion(version, train_parts, development_parts, reason, counts, held_out, arrivals, came)


def revise_version(job: Job, bench: Bench) -> AddVersion:
    """Apply answers, purchases and released rows to a version."""
    body: ReviseVersion = job.body
    base = body.version
    schema = load_schema(bench, job.tenant, base)
    train, development = bench.table(base.train), bench.table(base.development)
    train = _corrected(train, Pillar.TRAIN, body.corrections, schema)
    development = _corrected(development, Pillar.DEVELOPMENT, body.corrections, schema)
    key = bench.data_key()
    came = [_as_corrected(train, body.corrections, schema, key)]
    next_id, refused, arrivals = body.next_row_id, 0, []
    for rows, bought, to_train in _arrived(job, bench, schema):
        digests = table_digests(rows, schema, key)
        # A row that a test set or development came to hold meanwhile must not be learnt from.
        held = seen(digests, bench.blobs, job.tenant, body.held_out)
        refused += int(held.sum())
        came.append(digests[~held])
        rows, to_train = rows.filter(pa.array(~held)), to_train[~held]
        if bought and rows.num_rows:
            places = bench.blobs.put_json(job.tenant, np.flatnonzero(~held).tolist()) if held.any() else ""
            arrivals.append(Arrival(bought, next_id, rows.num_rows, places))
        train, next_id = _append(train, rows.filter(pa.array(to_train)), next_id, schema)
        development, next_id = _append(development, rows.filter(pa.array(~to_train)), next_id, schema)
    grown = [table_digests(development, schema, key)] if next_id > body.next_row_id else []
    return _added(
        job,
        bench,
        base,
        train,
        development,
        schema,
        body.reason,
        verified=[_key(c) for c in body.corrections],
        added=next_id - body.next_row_id,
        refused=refused,
        held_out=put_digests(bench.blobs, job.tenant, grown),
        arrivals=tuple(arrivals),
        came=put_digests(bench.blobs, job.tenant, came),
    )


def _arrived(
    job: Job, bench: Bench, schema: dict[str, Any]
) -> Iterator[tuple[pa.Table, str, NDArray[np.bool_]]]:
    """Yield the tables that came: the rows, the name if they were bought, and which of them join train."""
    body: ReviseVersion = job.body
    for digest in body.purchases:
        rows = bench.blobs.get_table(job.tenant, digest)
        yield rows, digest, np.ones(rows.num_rows, dtype=bool)
    for digest in body.absorbed:
        rows = _released(bench.blobs.get_table(job.tenant, digest), schema)
        whole = digest in body.train_only
        yield rows, "", np.ones(rows.num_rows, dtype=bool) if whole else _to_train(rows, schema)


def _key(correction: Correction) -> str:
    if correction.column is None:
        return f"label:{correction.pillar}:{correction.row_id}"
    return f"cell:{correction.pillar}:{correction.row_id}:{correction.column}"


def _corrected(
    table: pa.Table, pillar: Pillar, corrections: tuple[Correction, ...], schema: dict[str, Any]
) -> pa.Table:
    mine = [c for c in corrections if c.pillar == pillar.value]
    labels = {c.row_id: str(c.value) for c in mine if c.column is None}
    cells = [c for c in mine if c.column is not None]
    if labels:
        table = _relabelled(table, labels, schema["label"])
    if not cells:
        return table
    if "probability" not in table.column_names:
        raise Conflict(
            f"the {pillar.value} pillar has no uncertain cells",
            hint="Cells are cleaned in rows that have alternatives.",
        )
    uncertain = UncertainTable(table)
    for cell in cells:
        uncertain = uncertain.condition_cell(cell.row_id, str(cell.column), cell.value)
    return uncertain.table


def _as_corrected(
    train: pa.Table, corrections: tuple[Correction, ...], schema: dict[str, Any], key: bytes
) -> Digests:
    """Return the digests of the rows whose cells were corrected, with and without what was filled in."""
    ids = sorted({c.row_id for c in corrections if c.pillar == Pillar.TRAIN and c.column is not None})
    rows = train.filter(pc.is_in(train["row_id"], value_set=pa.array(ids, pa.int64())))
    forms = [rows, settled_cells(rows, schema)]
    return np.concatenate([table_digests(form, schema, key) for form in forms])


def _relabelled(table: pa.Table, labels: dict[int, str], label: str) -> pa.Table:
    ids = table["row_id"].to_pylist()
    values = table[label].to_pylist()
    known = set(ids)
    lost = sorted(set(labels) - known)
    if lost:
        raise Conflict(
            f"rows {lost[:5]} are not in the pillar any more",
            hint="The answer belongs to an older version; ask again.",
        )
    new = [labels.get(row_id, value) for row_id, value in zip(ids, values, strict=True)]
    column = table.column_names.index(label)
    return table.set_column(column, label, pa.array(new, table.schema.field(label).type))


def _append(table: pa.Table, rows: pa.Table, next_id: int, schema: dict[str, Any]) -> tuple[pa.Table, int]:
    """Append rows under fresh row ids, each with one certain alternative."""
    if rows.num_rows == 0:
        return table, next_id
    made: dict[str, Any] = defaultdict(lambda: pa.nulls(rows.num_rows))
    made["row_id"] = pa.array(np.arange(next_id, next_id + rows.num_rows, dtype=np.int64))
    made["parent_id"] = pa.nulls(rows.num_rows, pa.int64())
    made["probability"] = pa.array(np.ones(rows.num_rows))
    for name in ["group_id", *(n for n, _ in schema["features"]), schema["label"]]:
        made[name] = rows[name].cast(table.schema.field(name).type)
    fresh = pa.table({name: made[name] for name in table.column_names}, schema=table.schema)
    return pa.concat_tables([table, fresh]), next_id + rows.num_rows


def _released(rows: pa.Table, schema: dict[str, Any]) -> pa.Table:
    """Bring the rows of an era or a window into the form of a pillar."""
    if "_label_code" not in rows.column_names:
        return rows
    for name, kind in schema["features"]:
        if pa.types.is_null(rows.schema.field(name).type):  # as served, none had a value
            empty = pa.nulls(rows.num_rows, pa.string() if kind == "categorical" else pa.float64())
            rows = rows.set_column(rows.schema.get_field_index(name), name, empty)
    classes = schema["classes"]
    labels = pa.array([classes[code] for code in rows["_label_code"].to_pylist()], pa.string())
    rows = rows.append_column(schema["label"], labels)
    return rows.append_column("group_id", rows["_request"])


def _to_train(rows: pa.Table, schema: dict[str, Any]) -> NDArray[np.bool_]:
    """Say which released rows join train; the others join development, by group hash.

    A salt of its own: under the split's, every group of an era would be a stable one again.
    """
    salt = bytes.fromhex(schema["salt"]) + b"released"

    def fraction(group: str) -> float:
        return int(hashlib.sha256(salt + group.encode()).hexdigest()[:13], 16) / 16**13

    cut = schema["train_share"]
    return np.array([fraction(group) < cut for group in rows["group_id"].to_pylist()], dtype=bool)


WORK: dict[type, Perform] = {
    RepairAlternatives: repair_alternatives,
    ReviseVersion: revise_version,
}
