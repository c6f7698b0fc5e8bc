"""What ModelPool is told: models, verdicts, realtime rows, labels; and what it deploys."""

from __future__ import annotations

from easeml_ray.messages import LedgerLine, message, value

__all__ = [
    "AddModel",
    "AskedRow",
    "BatchAdmitted",
    "CloseIntake",
    "CollectWindow",
    "Deployed",
    "FindSegments",
    "FinishRound",
    "IntakeClosed",
    "LabelledRow",
    "LabelsObserved",
    "ModelAdded",
    "ModelMoved",
    "ObserveLabels",
    "PickRound",
    "RecordVerdict",
    "ReleaseWindow",
    "RoundFinished",
    "SegmentStored",
    "ShowDeployments",
    "ShowPool",
    "StoreSegment",
    "TakeIntoGate",
    "VerdictRecorded",
    "WindowClosed",
    "WindowDecided",
    "WindowReleased",
]


@message("pool.AddModel")
class AddModel:
    """A trained model joins the stream. ``floor`` marks model 0, the majority class."""

    model: str
    arm: str
    version: int
    floor: bool
    development_accuracy: float
    development_lower: float
    minimum_gain: float
    gates_a_day: int
    immediate: bool


@message("pool.ModelAdded")
class ModelAdded:
    """A model is TRAINED."""

    command: AddModel


@message("pool.CloseIntake")
class CloseIntake:
    """The search of a version is done: with adaptivity none, admit a batch of at most ``steps``.

    Models below ``least`` on development cannot meet the condition and would use up the test set.
    """

    version: int
    minimum_gain: float
    gates_a_day: int
    steps: int
    least: float = 0.0


@message("pool.IntakeClosed")
class IntakeClosed:
    """No more models of this version will come for now."""

    command: CloseIntake


@message("pool.BatchAdmitted")
class BatchAdmitted:
    """These models go to the gate, fixed before the first verdict among them."""

    models: tuple[str, ...]
    version: int


@message("pool.TakeIntoGate")
class TakeIntoGate:
    """The gate has taken the models."""

    models: tuple[str, ...]


@message("pool.RecordVerdict")
class RecordVerdict:
    """The gate's verdict on a model."""

    model: str
    passed: bool


@message("pool.VerdictRecorded")
class VerdictRecorded:
    """The pool has drawn all that follows from a verdict: what is deployed now, in particular."""

    command: RecordVerdict


@message("pool.ModelMoved")
class ModelMoved:
    """The state of a model changed."""

    model: str
    event: str
    state: str


@message("pool.Deployed")
class Deployed:
    """A model answers from now on; ``deployment`` counts up, replicas poll for it."""

    model: str
    arm: str
    version: int
    deployment: int
    because: str


@message("pool.StoreSegment")
class StoreSegment:
    """Rows that the endpoint answered, stored as one blob; ``lost`` rows went missing before."""

    segment: str
    digest: str
    rows: int
    lost: int
    window_rows: int
    labels: int


@message("pool.SegmentStored")
class SegmentStored:
    """A segment of realtime rows came for a window, which is full at ``command.window_rows``.

    ``let_pass`` names the segment that a window with no room left does without from now on: an earlier
    one, whose place this one takes, or this one.
    """

    command: StoreSegment
    window: int
    let_pass: str | None = None


@message("pool.WindowClosed")
class WindowClosed:
    """The window is full; its candidates are frozen."""

    window: int
    candidates: tuple[str, ...]
    rows: int
    labels: int
    beta: float


@value
class AskedRow:
    """A row whose label is asked for: position in the window, coin probability, what each said."""

    row: int
    request: str
    probability: float
    predictions: tuple[int, ...]


@message("pool.PickRound")
class PickRound:
    """Work: let the picker walk on from ``start`` until labels are needed or the rows are out."""

    window: int
    segments: tuple[tuple[str, str, int], ...]
    candidates: tuple[str, ...]
    start: int
    proposals: int
    losses: tuple[float, ...]
    labels_left: int
    beta: float


@message("pool.FinishRound")
class FinishRound:
    """Result of work: coins were thrown up to ``stop``; these rows want labels.

    ``proposals`` counts the rows so far that could have been asked for: with the labels spent,
    rows pass by and tell the picker nothing.
    """

    window: int
    start: int
    stop: int
    asked: tuple[AskedRow, ...]
    classes: tuple[str, ...]
    proposals: int = 0


@message("pool.RoundFinished")
class RoundFinished:
    """Coins were thrown; people are asked for the labels of some rows."""

    command: FinishRound


@value
class LabelledRow:
    """The label code of an asked row; None: skipped or expired."""

    row: int
    label: int | None
    cost_cents: float


@message("pool.ObserveLabels")
class ObserveLabels:
    """Labels of asked rows came."""

    window: int
    labels: tuple[LabelledRow, ...]


@message("pool.LabelsObserved")
class LabelsObserved:
    """Labels moved the posterior over the candidates."""

    command: ObserveLabels
    ledger: LedgerLine


@message("pool.WindowDecided")
class WindowDecided:
    """The best candidate on the window."""

    window: int
    best: str
    posterior: tuple[float, ...]
    candidates: tuple[str, ...]
    labels: int
    rows: int


@message("pool.CollectWindow")
class CollectWindow:
    """Work: gather the labelled rows of a decided window into one table."""

    window: int
    segments: tuple[tuple[str, str, int], ...]
    labelled: tuple[tuple[int, int], ...]


@message("pool.ReleaseWindow")
class ReleaseWindow:
    """Result of work: the labelled rows of a window."""

    window: int
    digest: str
    rows: int


@message("pool.WindowReleased")
class WindowReleased:
    """The labelled rows of a window can join train and development."""

    command: ReleaseWindow


@message("pool.FindSegments")
class FindSegments:
    """Query: the blobs of segments."""

    segments: tuple[str, ...]


@message("pool.ShowDeployments")
class ShowDeployments:
    """Query: what is deployed, by project; for the prediction replicas."""


@message("pool.ShowPool")
class ShowPool:
    """Query: models, windows and the deployed model of a project."""
