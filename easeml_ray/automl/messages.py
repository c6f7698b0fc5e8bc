"""What TenantScheduler is told and what its trials bring."""

from __future__ import annotations

from easeml_ray.messages import DataVersion, Gain, LedgerLine, message

__all__ = [
    "CompareVersions",
    "ComparisonQueued",
    "OpenSearch",
    "ReportComparison",
    "RunTrial",
    "SearchOpened",
    "SetSlots",
    "ShowSearches",
    "SlotsSet",
    "TrialDone",
    "TrialFailed",
    "TrialFinished",
    "VersionsCompared",
]


@message("automl.SetSlots")
class SetSlots:
    """Tell how many trials can run at once."""

    slots: int


@message("automl.SlotsSet")
class SlotsSet:
    """So many trials can run at once from now on."""

    command: SetSlots


@message("automl.OpenSearch")
class OpenSearch:
    """Search for models on a version; searches on older versions are closed. No ``arms``: all there are."""

    version: DataVersion
    seed: int
    gpu_second_cents: float
    arms: tuple[str, ...] = ()


@message("automl.SearchOpened")
class SearchOpened:
    """A search is open and tries these arms."""

    command: OpenSearch
    arms: tuple[str, ...]


@message("automl.RunTrial")
class RunTrial:
    """Work: train one arm on a warm worker."""

    version: DataVersion
    arm: str
    seed: int


@message("automl.TrialDone")
class TrialDone:
    """Result of work: a trained model by digest, measured on development."""

    version: int
    arm: str
    model: str
    floor: bool
    development_accuracy: float
    development_lower: float
    seconds: float


@message("automl.TrialFinished")
class TrialFinished:
    """A trial ended; the model is in the blob store."""

    command: TrialDone
    ledger: LedgerLine


@message("automl.TrialFailed")
class TrialFailed:
    """A trial ended with a typed error; the search goes on without the arm."""

    version: int
    arm: str
    why: str


@message("automl.ShowSearches")
class ShowSearches:
    """Query: searches and trials of a project."""


@message("automl.CompareVersions")
class CompareVersions:
    """Train an arm on the versions before and after a step, and ask both about the newer development rows.

    ``option`` is the step and ``kind`` what it asked for; ``target_accuracy`` caps the gain. It is the
    command and the work as well: a trial that waits for a slot like any other.
    """

    option: str
    kind: str
    arm: str
    before: DataVersion
    after: DataVersion
    target_accuracy: float


@message("automl.ComparisonQueued")
class ComparisonQueued:
    """A comparison waits for a slot."""

    command: CompareVersions


@message("automl.ReportComparison")
class ReportComparison:
    """Result of work: what a step brought a model of the tenant's own best arm.

    ``before`` and ``after`` are accuracies on the ``rows`` development rows of the newer version,
    ``gain`` their difference with its 90 % interval, capped at the target.
    """

    command: CompareVersions
    rows: int
    before: float
    after: float
    gain: Gain


@message("automl.VersionsCompared")
class VersionsCompared:
    """What a step brought a model of the tenant's own is known."""

    command: ReportComparison
