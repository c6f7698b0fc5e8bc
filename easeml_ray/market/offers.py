"""What is offered, what an offer is worth, and a plan of purchases.

Money is in whole cents, utility is the share of matching labels among the K nearest rows.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from numpy.typing import ArrayLike

from easeml_ray.arrays import as_features, as_labels
from easeml_ray.market.payment import whole_cents

__all__ = ["CurvePoint", "Offer", "OfferValue", "PurchasePlan", "PurchaseStep"]


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """Rows that a seller offers, bought whole or not at all.

    Parameters
    ----------
    id : str
        Name of the offer.
    seller : str
        Who offers.
    X : array-like of shape (n_rows, n_features)
        Features, at least one row.
    y : array-like of int, shape (n_rows,), or None
        Class codes; None for unlabelled rows.
    price_cents : int
        Price of the whole, at least 0.
    label_cents : int
        What having all its rows labelled would cost, at least 0; 0 when it has labels.
    terms : str, optional
        Conditions of use, kept with the purchase.

    Raises
    ------
    InvalidArgument
        If there are no rows, or a price is negative or not whole.

    Examples
    --------
    >>> Offer("o-1", "ada", [[0.0], [1.0]], [0, 1], 250).cost_cents
    250
    """

    id: str
    seller: str
    X: ArrayLike = field(repr=False)
    y: ArrayLike | None = field(repr=False)
    price_cents: int
    label_cents: int = 0
    terms: str | None = None

    def __post_init__(self) -> None:
        rows = as_features(self.X, f"X of offer {self.id}")
        object.__setattr__(self, "X", rows)
        if self.y is not None:
            object.__setattr__(self, "y", as_labels(self.y, f"y of offer {self.id}", n_rows=rows.shape[0]))
        for name, cents in (("price_cents", self.price_cents), ("label_cents", self.label_cents)):
            whole_cents(cents, f"{name} of offer {self.id}", name)

    @property
    def cost_cents(self) -> int:
        """Price and labelling together."""
        return self.price_cents + self.label_cents


@dataclass(frozen=True, slots=True)
class OfferValue:
    """What an offer is worth: the rise of the utility, and its 90 % bootstrap interval."""

    id: str
    seller: str
    cost_cents: int
    rows: int
    gain: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Expected accuracy for the money spent: that of asking one of the K nearest rows at random, the utility.

    The 90 % bootstrap interval over development rows does not cover that the same rows chose the offers.
    """

    spent_cents: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PurchaseStep:
    """An offer with its gain on top of the purchases before it, the money spent and the utility after it."""

    value: OfferValue
    spent_cents: int
    utility: float


@dataclass(frozen=True, slots=True)
class PurchasePlan:
    """What to buy, in order.

    Attributes
    ----------
    chosen : tuple of str
        Ids of the offers to buy, best gain per cent first.
    cost_cents, budget_cents : int
        What they cost together, and what was allowed.
    utility_before, utility_after : float
        Mean share of matching labels among the K nearest rows.
    gain_interval : (float, float)
        90 % bootstrap interval over development rows of the difference.
    steps : tuple of PurchaseStep
        One a purchase.
    alone : tuple of OfferValue
        Every offer, as if it were the only one, in the order given.
    curve : tuple of CurvePoint
        Expected accuracy against money: before, and after each purchase.
    rule : str
        ``greedy``; ``single`` when the best single offer beats the greedy plan; ``unaffordable``
        when the budget is below the cheapest offer.
    method : str
        How the numbers were computed.
    """

    chosen: tuple[str, ...]
    cost_cents: int
    budget_cents: int
    utility_before: float
    utility_after: float
    gain_interval: tuple[float, float]
    steps: tuple[PurchaseStep, ...]
    alone: tuple[OfferValue, ...]
    curve: tuple[CurvePoint, ...]
    rule: str
    method: str

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able values."""
        return asdict(self)
