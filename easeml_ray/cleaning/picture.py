"""What cleaning has reached and can reach, as a picture: accuracy and certainty against cells answered."""

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
EXPECTED, POTENTIAL, CERTAIN = "#332288", "#117733", "#CC6677"


def draw(
    curve: Sequence[Mapping[str, Any]], target: float | None = None, kind: Literal["svg", "png"] = "svg"
) -> bytes:
    """Draw the curve that ``easeml cleaning PROJECT --json`` shows; the same bytes for the same curve."""
    if not curve:
        raise InvalidArgument(
            "there is nothing to draw: no row has several alternatives",
            hint="The curve begins with the first proposal for data with missing cells.",
            argument="curve",
        )
    last = curve[-1]
    title = f"Cleaning: accuracy expected {last['expected']:.3f}, with a good repair {last['potential']:.3f}"
    facts = (
        f"{last['cells']} cells answered; {last['certain_fraction']:.0%} of the development rows are "
        "predicted alike whatever the others are"
    )
    return picture(lambda: _figure(curve, target, title, facts), kind, title=title, description=facts)


def _figure(curve: Sequence[Mapping[str, Any]], target: float | None, title: str, facts: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE)
    upper = figure.add_axes((0.07, 0.4, 0.6, 0.46))
    lower = figure.add_axes((0.07, 0.1, 0.6, 0.22), sharex=upper)
    cells = [point["cells"] for point in curve]
    _accuracies(upper, cells, curve, target)
    _certainty(lower, cells, curve)
    for axes, top in ((upper, 0.868), (lower, 0.33)):
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0.69, top), alignment="left", frameon=False,
            fontsize=8.0, handlelength=2.6, labelspacing=0.6, borderaxespad=0.0,
        )  # fmt: skip
    figure.text(0.02, 0.945, title, fontsize=13.0, fontweight="bold")
    figure.text(0.02, 0.9, facts, fontsize=8.5, color="#444444")
    return figure


def _accuracies(
    axes: Axes, cells: list[int], curve: Sequence[Mapping[str, Any]], target: float | None
) -> None:
    def of(name: str) -> list[float]:
        return [float(point[name]) for point in curve]

    axes.fill_between(
        cells, of("lower"), of("upper"), color=BAND, linewidth=0.0, label="every possible repair is in here"
    )
    # A band of one point has no width: its ends are drawn as well.
    for end in ("lower", "upper"):
        axes.plot(cells, of(end), "_", color=QUIET, markersize=9.0)
    axes.plot(
        cells, of("potential"), "^-", color=POTENTIAL, linewidth=1.4, label="a good repair, cross-fitted"
    )
    axes.plot(cells, of("expected"), "o-", color=EXPECTED, linewidth=2.2, label="expected over repairs")
    axes.plot(cells, of("default"), ".--", color=QUIET, linewidth=1.2, label="the most probable repair")
    if target is not None:
        axes.axhline(target, color="black", linewidth=1.4, label=f"target {target:.4g}")
    axes.set_ylabel("accuracy of the vote")
    axes.tick_params(labelbottom=False)
    axes.margins(x=0.04)


def _certainty(axes: Axes, cells: list[int], curve: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    certain = [float(point["certain_fraction"]) for point in curve]
    axes.plot(
        cells, certain, "s-", color=CERTAIN, linewidth=1.8, label="development rows\npredicted for certain"
    )
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("certain")
    axes.set_xlabel("cells answered")
