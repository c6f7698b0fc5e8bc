"""What an arm is: a recipe for a classifier that the search may train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

__all__ = ["Arm", "Extra", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The train sets that an arm can work with."""

    min_rows: int = 1  # fewest rows
    max_rows: int | None = None  # most rows; None for no limit
    min_classes: int = 2  # fewest classes that must occur
    min_rows_per_class: int = 1  # fewest rows of each class that occurs


@dataclass(frozen=True, slots=True)
class Extra:
    """What an arm needs beside scikit-learn.

    Parameters
    ----------
    name : str
        The extra of easeml_ray that brings it, as in ``easeml_ray[boost]``.
    modules : tuple of str
        Top-level modules that must be there.
    """

    name: str
    modules: tuple[str, ...]


@runtime_checkable
class Arm(Protocol):
    """A recipe for a classifier.

    It holds no data and no result, so one instance serves all tenants. The classifiers that it
    builds take features as :class:`easeml_ray.embed.Encoder` makes them (float64, finite,
    standardised, possibly read-only) and class codes; they give the same result for the same
    rows and seed, use a single thread, and consist of types that
    :data:`easeml_ray.arms.estimators.TRUSTED_TYPES` or scikit-learn's public classes cover.
    """

    @property
    def name(self) -> str:
        """The name under which the arm stands in the registry and in reports."""
        ...

    @property
    def family(self) -> str:
        """The kind of model, shared by arms that differ in hyper-parameters only."""
        ...

    @property
    def cost_hint(self) -> float:
        """Seconds on one core to train on 10,000 rows of 20 features, before any is measured."""
        ...

    @property
    def limits(self) -> Limits:
        """The train sets that the arm can work with."""
        ...

    @property
    def extra(self) -> Extra | None:
        """What must be installed for it, None if nothing must; `build` may take it for given."""
        ...

    def build(self, seed: int) -> Any:
        """Return a new, unfitted classifier with scikit-learn's ``fit``, ``predict_proba`` and ``classes_``.

        `seed`, in [0, 2**32), fixes all randomness of the fit.
        """
        ...
