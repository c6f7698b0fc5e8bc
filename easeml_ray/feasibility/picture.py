"""A feasibility report as a picture.

Symbols
-------
n = train rows at hand;  C = classes
e, h = 1NN error and Cover-Hart value of a curve at some number of train rows
a = decay exponent of the best curve, with its interval

To the left of n stands what was measured, to the right where the best curve leads: its Cover-Hart
value ``h (N/n)^-a``, and beside it the 1NN error that has this value. Black and grey belong to what
the embeddings share (target, Bayes error, model), colours and markers to the embeddings.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from easeml_ray.arrays import FloatArray
from easeml_ray.feasibility.curves import CAP, extrapolate
from easeml_ray.feasibility.report import CurvePoint, FeasibilityReport
from easeml_ray.pictures import FONT, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

# Paul Tol's qualitative scheme "muted", told apart with any colour vision; the markers tell once more.
COLOURS = (
    "#332288", "#CC6677", "#44AA99", "#999933", "#88CCEE", "#882255", "#117733", "#AA4499", "#DDCC77",
)  # fmt: skip
MARKERS = "os^DvPX<>"
BAND, QUIET, REST = "#E0E0E0", "#777777", "#BBBBBB"

SIZE = (9.6, 5.6)  # inches
LONGEST_NAME = 20
NOTE_HEIGHT = 0.028  # of a line below the axes, in parts of the figure


def draw(report: FeasibilityReport, kind: Literal["svg", "png"] = "svg") -> bytes:
    """Draw error against train rows, with the target and the interval of the Bayes error.

    Nothing is written to the home folder, and the drawing settings of the process are as before.

    Parameters
    ----------
    report : FeasibilityReport
        What a study answered.
    kind : {"svg", "png"}
        What to return.

    Returns
    -------
    bytes
        The file's content; the same for the same report.

    Raises
    ------
    InvalidArgument
        If `kind` is neither.

    Examples
    --------
    >>> from easeml_ray.feasibility import study
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 300)
    >>> X = rng.standard_normal((300, 2)) + 3.0 * y[:, None]
    >>> report = study(X[:200], y[:200], X[200:], y[200:], target_accuracy=0.9, embeddings=["raw"])
    >>> draw(report, "png")[1:4]
    b'PNG'
    """
    return picture(lambda: _figure(report), kind, title=_title(report), description="\n".join(_facts(report)))


# -- what is drawn ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Key:
    """A part of the legend: handles and what they mean."""

    title: str
    handles: list[Any] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def add(self, handle: Any, label: str) -> None:
        self.handles.append(handle)
        self.labels.append(label)


def _figure(report: FeasibilityReport) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE)
    notes = _notes(report)
    bottom = 0.105 + NOTE_HEIGHT * len(notes)
    axes = figure.add_axes((0.07, bottom, 0.595, 0.85 - bottom))
    _scales(axes, report)
    study, embeddings = _Key("The study"), _Key("1NN error by embedding")
    _study(axes, report, study)
    _curves(axes, report, embeddings)
    _outlook(axes, report, embeddings)
    _legends(figure, (study, embeddings))
    figure.text(0.02, 0.945, _title(report), fontsize=13.0, fontweight="bold")
    figure.text(0.02, 0.9, "   ".join(_facts(report)), fontsize=8.5, color="#444444")
    for line, note in enumerate(reversed(notes)):
        figure.text(0.02, 0.018 + NOTE_HEIGHT * line, note, fontsize=7.5, color="#444444")
    return figure


def _legends(figure: Figure, keys: Iterable[_Key]) -> None:
    """Put the parts of the legend below each other, right of the axes."""
    top = 0.868
    for key in keys:
        legend = figure.legend(
            key.handles, key.labels, title=key.title, loc="upper left", bbox_to_anchor=(0.675, top),
            alignment="left", frameon=False, fontsize=8.0, handlelength=2.6, labelspacing=0.5,
            title_fontproperties={"size": 8.5, "weight": "bold"}, borderaxespad=0.0,
        )  # fmt: skip
        figure.draw_without_rendering()
        top = figure.transFigure.inverted().transform(legend.get_window_extent())[0, 1] - 0.015


def _title(report: FeasibilityReport) -> str:
    return f"{report.decision.value} for a target accuracy of {report.target_accuracy:.4g}"


def _facts(report: FeasibilityReport) -> tuple[str, ...]:
    return (
        f"belief {report.belief:.2f} that it is possible",
        f"{report.n_train:,} train and {report.n_dev:,} development rows of {report.n_classes} classes",
    )


def _notes(report: FeasibilityReport) -> list[str]:
    if not report.outside:
        return []
    unlike = "; ".join(report.outside)
    note = f"Outside of the reference class of the interval, which is therefore widened: {unlike}."
    return textwrap.wrap(note, 150)


def _scales(axes: Axes, report: FeasibilityReport) -> None:
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    first = min(curve[0].n_train for curve in report.curves.values())
    highest = max(point.errors for curve in report.curves.values() for point in curve) / report.n_dev
    top = 1.06 * max(highest, report.target_error, report.ber_interval[1], report.model_error, 0.01)
    axes.set_xscale("log")
    axes.set_xlim(0.85 * first, 1.1 * CAP * report.n_train)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    # What is zero shall be seen above the frame.
    axes.set_ylim(-0.015 * top, top)
    axes.set_xlabel("train rows (logarithmic)")
    axes.set_ylabel("error rate")
    axes.axvline(report.n_train, color=QUIET, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    axes.annotate(
        "← measured  ", (report.n_train, 1.0), xycoords=("data", "axes fraction"), ha="right", va="bottom",
        fontsize=7.5, color=QUIET,
    )  # fmt: skip
    axes.annotate(
        "  extrapolated →", (report.n_train, 1.0), xycoords=("data", "axes fraction"), ha="left", va="bottom",
        fontsize=7.5, color=QUIET,
    )  # fmt: skip


def _study(axes: Axes, report: FeasibilityReport, key: _Key) -> None:
    """Draw what is not of one embedding: target, Bayes error, the model now and the rows it needs."""
    low, high = report.ber_interval
    target = axes.axhline(report.target_error, color="black", linewidth=1.4, zorder=3)
    key.add(target, f"target error {report.target_error:.3f}")
    band = axes.axhspan(low, high, color=BAND, linewidth=0.0, zorder=0)
    middle = axes.axhline(report.ber_estimate, color=QUIET, linewidth=1.2, linestyle=(0, (6, 3)), zorder=2)
    key.add(middle, f"Bayes error, estimate {report.ber_estimate:.3f}")
    key.add(band, f"Bayes error, 90 % interval {low:.3f} .. {high:.3f}")
    (model,) = axes.plot(
        [report.n_train], [report.model_error], "*", color="black", markersize=13.0, markeredgecolor="white",
        zorder=9, clip_on=False,
    )  # fmt: skip
    key.add(model, f"a model now, error {report.model_error:.3f}")
    needed = report.samples_needed
    if needed.n_hat > report.n_train and not needed.capped:
        (rows,) = axes.plot(
            [needed.low, needed.n_hat, needed.high], [report.target_error] * 3, "D-", markevery=[1],
            color="black", linewidth=4.0, solid_capstyle="butt", markersize=6.5, markerfacecolor="white",
            zorder=8,
        )  # fmt: skip
        key.add(
            rows,
            f"a model meets it at {needed.n_hat:,} rows\n(90 % interval: {needed.low:,} .. {needed.high:,})",
        )


def _curves(axes: Axes, report: FeasibilityReport, key: _Key) -> None:
    """Draw the measured curves; the legend names them from the best to the worst."""
    ranked = sorted(
        report.curves, key=lambda name: (name != report.best_embedding, report.curves[name][-1].errors)
    )
    named = ranked[: len(COLOURS)]
    # The colour follows from the report's order: it stays when ranks change with the next version.
    looks = dict(
        zip(
            (name for name in report.curves if name in named),
            zip(COLOURS, MARKERS, strict=True),
            strict=False,
        )
    )
    for name in ranked:
        curve, best = report.curves[name], name == report.best_embedding
        sizes, errors, values = _arrays(curve, report.n_dev)
        colour, marker = looks.get(name, (REST, ""))
        (line,) = axes.plot(
            sizes, errors, marker=marker, color=colour, linewidth=2.4 if best else 1.3,
            markersize=6.5 if best else 4.5, markeredgecolor="white", markeredgewidth=0.5,
            zorder=7 if best else 5 if marker else 4,
        )  # fmt: skip
        axes.plot(sizes, values, color=colour, linewidth=1.0, linestyle=(0, (1, 1.5)), alpha=0.8, zorder=4)
        if marker:
            ended = f" ({curve[-1].n_train:,} rows)" if curve[-1].n_train < report.n_train else ""
            key.add(line, f"{_short(name)}  {errors[-1]:.3f}{ended}")
        elif name == ranked[-1]:
            key.add(line, f"{len(ranked) - len(named)} others, none better")


def _outlook(axes: Axes, report: FeasibilityReport, key: _Key) -> None:
    """Draw where the best curve leads by its slope, as a line in a wedge."""
    from matplotlib.lines import Line2D

    sizes, _, values = _arrays(report.curves[report.best_embedding], report.n_dev)
    factors = np.geomspace(1.0, CAP, 40)
    a = np.array(report.slopes[report.best_embedding])
    last = np.full(a.size, values[-1])
    low, middle, high = np.transpose([extrapolate(last, a, float(factor)) for factor in factors])
    ahead, C = sizes[-1] * factors, report.n_classes
    axes.fill_between(
        ahead, _nearest(high, C), _nearest(low, C), color=QUIET, alpha=0.18, linewidth=0.0, zorder=2
    )
    dots = (0, (1, 1.5))
    (line,) = axes.plot(
        ahead, _nearest(middle, C), color="#333333", linewidth=1.6, linestyle=(0, (4, 2)), zorder=6
    )
    axes.plot(ahead, middle, color="#333333", linewidth=1.0, linestyle=dots, zorder=4)
    key.add(line, f"{_short(report.best_embedding)} with more rows\n(wedge: 90 % interval of its slope)")
    key.add(Line2D([], [], color="#333333", linewidth=1.0, linestyle=dots), "Cover–Hart value of each")


def _nearest(h: FloatArray, C: int) -> FloatArray:
    """Return the 1NN errors whose Cover-Hart values are h."""
    return h * (2.0 - h * C / (C - 1))


def _arrays(curve: tuple[CurvePoint, ...], n_dev: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    sizes, errors, values = np.array(curve, dtype=np.float64).T
    return sizes, errors / n_dev, values


def _short(name: str) -> str:
    """Return a name as the legend can show it: not too long, and in letters that the font has."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont(FONT)).get_charmap()
    name = "".join(letter if ord(letter) in known else "?" for letter in name)
    return name if len(name) <= LONGEST_NAME else f"{name[:11]}…{name[-8:]}"
