"""What money buys and what rows are worth, as a picture: accuracy against cents, and against rows kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from easeml_ray.errors import InvalidArgument
from easeml_ray.pictures import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

SIZE = (9.6, 5.6)  # inches
BAND, QUIET = "#E0E0E0", "#777777"
EXPECTED, BEST, WORST = "#332288", "#117733", "#CC6677"


def draw(
    curve: Sequence[Mapping[str, Any]],
    *,
    budget_cents: int | None = None,
    target: float | None = None,
    retained: Mapping[str, Sequence[float]] | None = None,
    kind: Literal["svg", "png"] = "svg",
) -> bytes:
    """Draw the curve of a plan of purchases, and beside it what rows of high and low value bring.

    curve and retained are points and curves as their ``to_dict()`` has them; money is in cents. The bytes are
    the same for the same curves.
    """
    if not curve and not retained:
        raise InvalidArgument(
            "there is nothing to draw: no plan of purchases, no values of rows",
            hint="Both begin with the first proposal.",
            argument="curve",
        )
    title, facts = "Market: what the rows bring", "No offer stands."
    if curve:
        first, last = curve[0], curve[-1]
        title = f"Market: accuracy {first['accuracy']:.3f} now, {last['accuracy']:.3f} expected"
        low, high = last["interval"]
        facts = (
            f"{len(curve) - 1} purchases for {last['spent_cents'] / 100:.2f}; 90 % interval {low:.3f} to "
            f"{high:.3f} over development rows"
        )
    return picture(
        lambda: _figure(curve, budget_cents, target, retained, title, facts),
        kind,
        title=title,
        description=facts,
    )


def _figure(
    curve: Sequence[Mapping[str, Any]],
    budget_cents: int | None,
    target: float | None,
    retained: Mapping[str, Sequence[float]] | None,
    title: str,
    facts: str,
) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE)
    whole, left, right = (0.08, 0.12, 0.88, 0.72), (0.08, 0.12, 0.4, 0.72), (0.57, 0.12, 0.4, 0.72)
    if curve:
        _against_money(figure.add_axes(left if retained else whole), curve, budget_cents, target)
    if retained:
        _against_rows(figure.add_axes(right if curve else whole), retained)
    figure.text(0.02, 0.945, title, fontsize=13.0, fontweight="bold")
    figure.text(0.02, 0.9, facts, fontsize=8.5, color="#444444")
    return figure


def _against_money(
    axes: Axes, curve: Sequence[Mapping[str, Any]], budget_cents: int | None, target: float | None
) -> None:
    money = [point["spent_cents"] / 100 for point in curve]
    low = [point["interval"][0] for point in curve]
    high = [point["interval"][1] for point in curve]
    axes.fill_between(money, low, high, color=BAND, linewidth=0.0, label="90 % interval")
    # A band of one point has no width: its ends are drawn as well.
    for ends in (low, high):
        axes.plot(money, ends, "_", color=QUIET, markersize=9.0)
    accuracy = [point["accuracy"] for point in curve]
    axes.plot(money, accuracy, "o-", color=EXPECTED, linewidth=2.0, label="expected accuracy")
    if target is not None:
        axes.axhline(target, color="black", linewidth=1.4, label=f"target {target:.4g}")
    if budget_cents is not None:
        axes.axvline(
            budget_cents / 100, color=QUIET, linestyle="--", label=f"budget {budget_cents / 100:.2f}"
        )
    axes.set_xlabel("money spent")
    axes.set_ylabel("accuracy of the nearest rows")
    axes.legend(frameon=False, fontsize=8.0, loc="lower right")


def _against_rows(axes: Axes, retained: Mapping[str, Sequence[float]]) -> None:
    from matplotlib.ticker import PercentFormatter

    for name, style, color, label in (
        ("best", "^-", BEST, "rows of the highest values"),
        ("any", ".--", QUIET, "rows at random"),
        ("worst", "v-", WORST, "rows of the lowest values"),
    ):
        axes.plot(retained["kept"], retained[name], style, color=color, linewidth=1.6, label=label)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("rows kept")
    axes.set_ylabel("accuracy")
    axes.legend(frameon=False, fontsize=8.0, loc="lower right")
