"""What CIGate is told, and all that it lets out."""

from __future__ import annotations

from dataclasses import field

from easeml_ray.gate.label_messages import SealedLabel, WantTestLabels
from easeml_ray.messages import LedgerLine, message, value

__all__ = [
    "AnnounceKey",
    "EraActivated",
    "EraExhausted",
    "EraReleased",
    "EraSealed",
    "Evidence",
    "GateModels",
    "GivesVerdict",
    "JudgeModel",
    "KeyAnnounced",
    "ModelsQueued",
    "OpenEra",
    "ReleaseEra",
    "ReleasedEra",
    "ShowGate",
    "ShowKey",
    "TestSetWanted",
    "VerdictGiven",
]


@message("gate.AnnounceKey")
class AnnounceKey:
    """The public key to which stable rows are sealed, in hex."""

    public_key: str


@message("gate.KeyAnnounced")
class KeyAnnounced:
    """Stable rows are sealed to this key from now on."""

    command: AnnounceKey


@message("gate.OpenEra")
class OpenEra:
    """A sealed stable test set and the conditions that it is to carry.

    ``old`` is what is deployed now (model 0 before any), for models that wait already; ``meter`` are the
    edges of the overfitting meter that is read with every verdict, none without one; ``bit_cents`` is the
    price of a bit that verdicts give away.
    """

    sealed: str
    rows: int
    schema: str
    condition: str
    reliability: float
    steps: int
    adaptivity: str
    mode: str
    bound: str
    old: str | None = None
    subset_rows: dict[str, int] = field(default_factory=dict)
    labelled: bool = True
    meter: tuple[float, ...] = ()
    bit_cents: float = 0.0


@message("gate.EraSealed")
class EraSealed:
    """An era waits for its first model; ``required`` rows would do for its condition."""

    command: OpenEra
    era: int
    required: int


@message("gate.GateModels")
class GateModels:
    """Gate these models; ``old`` is the deployed model (model 0 before any).

    ``development`` is the accuracy of each on development, for the overfitting meter.
    """

    models: tuple[str, ...]
    old: str
    development: tuple[float, ...] = ()


@message("gate.ModelsQueued")
class ModelsQueued:
    """Models wait for a verdict, in this order; ``era`` is None while no era can judge them."""

    command: GateModels
    era: int | None


@message("gate.EraActivated")
class EraActivated:
    """The era gave its first model to judge: ``o`` of the condition is fixed for its life."""

    era: int
    old: str


@message("gate.JudgeModel")
class JudgeModel:
    """Work: one verdict, inside the gate's own process.

    For a test set without labels ``known`` is the sealed blob of those that came before, ``fresh`` are
    those that came since; what is wanted next may be the result instead of a verdict. ``asked`` is what was
    wanted of people for this model before, with what both models answered and how fast.
    """

    era: EraSealed
    model: str
    old: str
    development: float | None = None
    known: str = ""
    fresh: tuple[SealedLabel, ...] = ()
    asked: WantTestLabels | None = None


@value
class Evidence:
    """What a verdict rests on: exact counts over ``rows`` stable rows, and each clause's value and truth.

    ``labels`` is how many labels the verdict took, where the test set came without; how many answers were
    right is then counted over all rows whose label is known by now. ``failure`` is what the model raised, if
    it could not answer.
    """

    rows: int
    new_correct: int
    old_correct: int
    different: int
    truth: str
    clauses: tuple[str, ...] = ()
    latency_ms: float | None = None
    labels: int | None = None
    failure: str = ""


@message("gate.GivesVerdict")
class GivesVerdict:
    """Result of work: a verdict; ``sealed_evidence`` names a blob that the gate alone can read.

    ``band`` is what the overfitting meter read; None without a meter.
    """

    era: int
    model: str
    passed: bool
    evidence: Evidence | None
    sealed_evidence: str
    known: str = ""
    band: int | None = None


@message("gate.VerdictGiven")
class VerdictGiven:
    """PASS or FAIL; ``command.evidence`` only where the adaptivity lets it out."""

    command: GivesVerdict
    step: int
    ledger: LedgerLine | None


@message("gate.EraExhausted")
class EraExhausted:
    """The era has given all its verdicts."""

    era: int


@message("gate.TestSetWanted")
class TestSetWanted:
    """The eras up to this one will not do: a fresh stable test set of so many rows is wanted.

    Said when models wait that no era can judge, and once before the end of an era.
    """

    __test__ = False

    rows: int
    why: str
    era: int = 0


@message("gate.ReleaseEra")
class ReleaseEra:
    """Work: unseal an exhausted era so that its rows can join train and development.

    ``evidence`` names the sealed evidence of its verdicts, in order; empty where there is none. ``known`` is
    the sealed blob of the labels of a test set that came without, ``fresh`` are those beside it: only
    labelled rows are released.
    """

    era: EraSealed
    evidence: tuple[str, ...] = ()
    known: str | None = None
    fresh: tuple[SealedLabel, ...] = ()


@message("gate.ReleasedEra")
class ReleasedEra:
    """Result of work: the rows of an era and what its verdicts rested on, in clear from now on."""

    era: int
    digest: str
    rows: int
    evidence: tuple[Evidence | None, ...] = ()


@message("gate.EraReleased")
class EraReleased:
    """The rows of an era are in clear; ``ledger`` sums the verdicts whose lines were sealed."""

    command: ReleasedEra
    sealed: str
    ledger: LedgerLine | None = None


@message("gate.ShowKey")
class ShowKey:
    """Query: the public key."""


@message("gate.ShowGate")
class ShowGate:
    """Query: eras, conditions, what is left, verdicts."""
