"""What a person can be asked about: one typed item for each kind of request.

An item is what a request is about, in full: where its row stands, and what helps to answer. Its ``key``
names it within a project for good, so that nobody is asked the same twice.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

__all__ = [
    "BoughtRow",
    "Cell",
    "Goal",
    "Item",
    "Label",
    "OfferedRows",
    "ServedRow",
    "TestRow",
    "TestSetRows",
    "Value",
    "item_key",
    "shown_item",
]

Value: TypeAlias = str | float | int | bool


def item_key(pillar: str, row_id: int, column: str | None = None) -> str:
    """Return the key of a row's label, or of its cell in a column."""
    return f"label:{pillar}:{row_id}" if column is None else f"cell:{pillar}:{row_id}:{column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The label of a row of train or development that looks wrong (RELABEL).

    ``doubt`` is the probability that it is wrong, ``bits`` what is not known of it.
    """

    about: Literal["label"] = "label"
    pillar: str
    row_id: int
    given: str = ""
    likely: str = ""
    doubt: float = 0.0
    bits: float = 0.0

    @property
    def key(self) -> str:
        """The item's name in its project."""
        return item_key(self.pillar, self.row_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of which several values are possible (CLEAN_CELL).

    ``candidates`` are (value, probability); ``bits`` is what is not known of it, ``information`` what it
    would tell (bits over all development rows), ``points`` its part of the option's gain, in percent.
    """

    about: Literal["cell"] = "cell"
    pillar: str
    row_id: int
    column: str
    answer: Literal["number", "text"]
    candidates: tuple[tuple[Value | None, float], ...] = ()
    bits: float = 0.0
    information: float = 0.0
    points: float = 0.0

    @property
    def key(self) -> str:
        """The item's name in its project."""
        return item_key(self.pillar, self.row_id, self.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedRows:
    """A whole offer of rows (BUY_ROW)."""

    about: Literal["offer"] = "offer"
    offer: str
    seller: str = ""
    rows: int = 0
    terms: str = ""
    labelled: bool = True

    @property
    def key(self) -> str:
        """The item's name in its project."""
        return f"offer:{self.offer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoughtRow:
    """A row that was bought without a label (LABEL_ROW): the ``place``-th of a table."""

    about: Literal["bought row"] = "bought row"
    offer: str
    table: str
    place: int

    @property
    def key(self) -> str:
        """The item's name in its project."""
        return f"offer:{self.offer}:{self.place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRow:
    """A row of a test set that came without labels (LABEL_TEST): shown from a table made for people."""

    __test__ = False

    about: Literal["test row"] = "test row"
    era: int
    row: int
    table: str
    place: int

    @property
    def key(self) -> str:
        """The item's name in its project."""
        return f"test:{self.era}:{self.row}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRow:
    """A row that the endpoint answered (LABEL_REALTIME); ``request_id`` is segment:row."""

    about: Literal["served row"] = "served row"
    window: int
    row: int
    request_id: str

    @property
    def key(self) -> str:
        """The item's name in its project."""
        return f"realtime:{self.request_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The target of a project (OVERRIDE_TARGET): train anyway, improve, or another target accuracy."""

    about: Literal["target"] = "target"
    answer: Literal["decision"] = "decision"
    target_accuracy: float
    surely_reachable: str
    why: str
    version: int
    round: int

    @property
    def key(self) -> str:
        """The item's name in its project."""
        return f"target:{self.version}:{self.round}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSetRows:
    """A fresh stable test set (NEW_TEST_SET), given as a file; ``asked_by``: the event that wants it."""

    __test__ = False

    about: Literal["test set"] = "test set"
    answer: Literal["upload"] = "upload"
    rows: int
    why: str
    asked_by: str

    @property
    def key(self) -> str:
        """The item's name in its project."""
        return f"test-set:{self.asked_by}"


Item: TypeAlias = Annotated[
    Label | Cell | OfferedRows | BoughtRow | TestRow | ServedRow | Goal | TestSetRows,
    Field(discriminator="about"),
]
"""Any item, told apart by what it is about."""


def shown_item(item: Item) -> dict[str, Any]:
    """Return an item as people's surfaces show it, its key first."""
    return {"key": item.key, **asdict(item)}
