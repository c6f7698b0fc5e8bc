"""What DataRegistry is told and what happens to data."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from easeml_ray.items import Value
from easeml_ray.messages import DatasetRef, DataVersion, message, value

__all__ = [
    "Absorb",
    "Absorbed",
    "AddTestSet",
    "AddVersion",
    "Arrival",
    "Augment",
    "AugmentationStarted",
    "Augmented",
    "Correction",
    "FindLatest",
    "FindParts",
    "KeepVersion",
    "Part",
    "PillarsSealed",
    "RepairAlternatives",
    "Revise",
    "ReviseVersion",
    "RevisionStarted",
    "Seal",
    "ShowVersions",
    "TestSetAdded",
    "Uploaded",
    "VersionAdded",
]


@value
class Part:
    """One blob of a pillar: its digest, its number of records, its size in bytes."""

    digest: str
    records: int
    bytes: int


@message("registry.Seal")
class Seal:
    """A parsed, split and sealed upload; made by ``runtime.intake`` from the bytes, never by a person.

    ``upload`` is the digest of the file, whose bytes are not kept: its lineage. ``held_out``,
    ``stable_held_out`` and ``known`` are blobs of keyed digests, of the development rows, of the stable
    ones and of the train rows as they came. ``subset_rows`` says of each slice of the condition how many
    stable rows it has, and of each class only how many are needed, which are there: the exact number
    would tell something of the labels.
    """

    upload: str
    format: str
    rows: int
    version: DataVersion
    train: tuple[Part, ...]
    development: tuple[Part, ...]
    stable: str
    stable_rows: int
    held_out: str
    stable_held_out: str = ""
    subset_rows: dict[str, int] = field(default_factory=dict)
    known: str = ""


@message("registry.Uploaded")
class Uploaded:
    """A file came in."""

    upload: str


@message("registry.PillarsSealed")
class PillarsSealed:
    """The four pillars are apart; the stable rows are sealed to the gate's key."""

    command: Seal


@message("registry.AddTestSet")
class AddTestSet:
    """A fresh stable test set, sealed to the gate's key.

    ``checked`` says what its rows were looked up in: all that had come when :class:`FindLatest` answered
    with that number. ``subset_rows`` as in :class:`Seal`.
    """

    upload: str
    stable: str
    stable_rows: int
    held_out: str
    checked: int
    subset_rows: dict[str, int] = field(default_factory=dict)
    labelled: bool = True


@message("registry.TestSetAdded")
class TestSetAdded:
    """A fresh stable test set is here."""

    __test__ = False

    command: AddTestSet


@message("registry.Augment")
class Augment:
    """Make the train pillar of a version machine-readable: alternatives for missing cells."""

    number: int


@message("registry.AugmentationStarted")
class AugmentationStarted:
    """Augmentation of a version began."""

    command: Augment


@message("registry.RepairAlternatives")
class RepairAlternatives:
    """Work: complete every incomplete train row once per repair strategy."""

    version: DataVersion


@value
class Correction:
    """A value that a person gave: a label (``column`` None) or a cell."""

    pillar: str
    row_id: int
    column: str | None
    value: Value
    evidence: str


@message("registry.Revise")
class Revise:
    """Make a new version out of answers, purchases and what was released."""

    number: int
    corrections: tuple[Correction, ...]
    purchases: tuple[str, ...]
    reason: str


@message("registry.RevisionStarted")
class RevisionStarted:
    """Work on a new version began."""

    command: Revise


@message("registry.ReviseVersion")
class ReviseVersion:
    """Work: apply corrections and additions to a version.

    ``train_only`` are those of ``absorbed`` of which no row may join development.
    """

    command: Revise
    version: DataVersion
    absorbed: tuple[str, ...]
    held_out: tuple[str, ...]
    next_row_id: int
    train_only: tuple[str, ...] = ()


@value
class Arrival:
    """Rows that joined train from an offer: ``rows`` of them under row ids from ``first`` on.

    ``digest`` names the offered table, which tells the owner of each row; ``places`` a blob with
    their places in it, empty where all of its rows joined.
    """

    digest: str
    first: int
    rows: int
    places: str = ""


@message("registry.AddVersion")
class AddVersion:
    """Result of work: the manifest of a new version.

    ``known`` is a blob of keyed digests of the rows that joined, as they came, and of those whose cells
    were corrected, as they are now; empty without any.
    """

    version: DataVersion
    train: tuple[Part, ...]
    development: tuple[Part, ...]
    reason: str
    counts: dict[str, float]
    held_out: str = ""
    arrivals: tuple[Arrival, ...] = ()
    known: str = ""


@message("registry.KeepVersion")
class KeepVersion:
    """Result of work: nothing to change."""

    number: int


@message("registry.VersionAdded")
class VersionAdded:
    """A new version is here; the event is its manifest."""

    command: AddVersion


@message("registry.Augmented")
class Augmented:
    """Augmentation ended; ``version`` is what to study."""

    version: DataVersion


@message("registry.Absorb")
class Absorb:
    """Labelled rows of a released era or window; they join train and development at the next version.

    ``sealed`` names the stable set that they were. With ``train_only`` none joins development: they are no
    sample of what models will meet.
    """

    source: str
    digest: str
    rows: int
    sealed: str = ""
    train_only: bool = False


@message("registry.Absorbed")
class Absorbed:
    """Labelled rows wait for the next version."""

    command: Absorb


@message("registry.ShowVersions")
class ShowVersions:
    """Query: versions with lineage."""


@message("registry.FindLatest")
class FindLatest:
    """Query: the newest version, and what further rows are looked up in.

    ``held_out`` are blobs of digests of what is held out now, ``known`` of all that ever came; ``waiting``
    are tables of rows that came and are in none of these yet; ``came`` counts what came so far.
    """


@message("registry.FindParts")
class FindParts:
    """Query: the part blobs of a pillar; ``capability`` is checked here and nowhere else."""

    ref: DatasetRef
    capability: dict[str, Any]
    verb: str = "read"
