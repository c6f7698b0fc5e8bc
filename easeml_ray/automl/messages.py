"""What TenantScheduler is told and what its trials bring."""

from __future__ import annotations

from easeml_ray.messages import DataVersion, LedgerLine, message

__all__ = [
    "OpenSearch",
    "RunTrial",
    "SearchOpened",
    "SetSlots",
    "ShowSearches",
    "SlotsSet",
    "TrialDone",
    "TrialFailed",
    "TrialFinished",
]


@message("automl.SetSlots")
class SetSlots:
    """Tell how many trials can run at once."""

    slots: int


@message("automl.SlotsSet")
class SlotsSet:
    """So many trials can run at once from now on."""

    slots: int


@message("automl.OpenSearch")
class OpenSearch:
    """Search for models on a version; searches on older versions are closed."""

    version: DataVersion
    arms: tuple[str, ...]
    seed: int
    gpu_second_cents: float


@message("automl.SearchOpened")
class SearchOpened:
    """A search is open."""

    version: DataVersion
    arms: tuple[str, ...]
    seed: int
    gpu_second_cents: float


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

    version: int
    arm: str
    model: str
    floor: bool
    development_accuracy: float
    development_lower: float
    seconds: float
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
