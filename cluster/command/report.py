"""How a feasibility report is drawn on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cluster import wording
from cluster.command.table import table

__all__ = ["draw_curves", "draw_report"]

_COLOURS = {"FEASIBLE_SURE": "green", "FEASIBLE": "green", "UNDECIDED": "yellow", "INFEASIBLE": "red"}
_RANGES = {"n_train": "train rows", "n_dev": "development rows", "n_classes": "classes",
           "n_features": "features", "noise": "label noise"}  # fmt: skip


def draw_report(out: Console, name: str, report: Mapping[str, Any]) -> None:
    """Draw a report: the decision, the numbers behind it, the embeddings, what to do, and the method."""
    decision = report["decision"]
    colour = _COLOURS.get(decision, "bold")
    out.print(
        f"[bold]{escape(name)}[/bold]: [bold {colour}]{decision}[/bold {colour}] "
        f"for a target accuracy of {report['target_accuracy']:g}"
    )
    out.print()
    out.print(_pairs(_numbers(report)))
    out.print(_embeddings(report))
    out.print("What to do:", style="bold")
    out.print(_pairs((f"{i}.", _advice(option)) for i, option in enumerate(report["options"], 1)))
    out.print()
    out.print(_pairs(_origin(report)), style="dim")


def draw_curves(out: Console, report: Mapping[str, Any]) -> None:
    """Draw the curves point by point."""
    rows = [
        [name, f"{n_train:,}", errors, f"{errors / report['n_dev']:.3f}", f"{value:.3f}"]
        for name, curve in report["curves"].items()
        for n_train, errors, value in curve
    ]
    columns = ["embedding", "train rows", "1NN errors", "1NN error", "Cover-Hart value"]
    out.print(table(columns, rows, right=(1, 2, 3, 4)))


def _pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Return names and what is said of them, folded beside the names."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for name, text in rows:
        grid.add_row(name, escape(text))
    return grid


def _numbers(report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    target = round(1.0 - report["target_accuracy"], 12)
    low, high = report["ber_interval"]
    yield "Bayes error", f"{report['ber_estimate']:.3f}, 90 % interval {low:.3f} .. {high:.3f}"
    yield "target error", f"{target:.3f}, met by the Bayes error with probability {report['belief']:.2f}"
    yield "a model now", f"error {report['model_error']:.3f} expected"
    yield (
        "best classifier",
        f"{report['best_classifier']}: error {report['best_error']:.3f}, "
        f"with 95 % confidence at most {report['best_limit']:.3f}",
    )
    yield (
        "classical pair",
        f"{report['ber_lower']:.3f} .. {report['ber_upper']:.3f}, Cover-Hart value and 1NN error of "
        f"{report['best_embedding']}",
    )
    yield "train rows", _rows(report)
    if report["stale_rows"]:
        yield "news", f"{report['stale_rows']:,} train rows came or changed since models were trained on them"


def _rows(report: Mapping[str, Any]) -> str:
    now, needed = report["n_train"], report["samples_needed"]
    text = f"{now:,}, tested on {report['n_dev']:,} of {report['n_classes']} classes; "
    if needed["n_hat"] <= now:
        return text + "enough for a model to meet the target"
    if needed["capped"]:
        return text + f"a model is not expected to meet the target within {needed['n_hat']:,}"
    return (
        text + f"a model may meet the target at {needed['n_hat']:,}, "
        f"90 % interval {needed['low']:,} .. {needed['high']:,}"
    )


def _embeddings(report: Mapping[str, Any]) -> Table:
    """Return the embeddings from the best to the worst."""
    curves = report["curves"]
    ranked = sorted(curves, key=lambda name: (name != report["best_embedding"], curves[name][-1][1]))
    stopped = any(curve[-1][0] < report["n_train"] for curve in curves.values())
    longest = 16 if stopped else 20  # so that 80 columns are enough; the curves and JSON have names whole
    rows = []
    for name in ranked:
        n_train, errors, value = curves[name][-1]
        row = [
            name if len(name) <= longest else f"{name[: longest - 9]}…{name[-8:]}",
            f"{errors / report['n_dev']:.3f}",
            f"{value:.3f}",
            _slope(*report["slopes"][name]) if len(curves[name]) > 1 else None,
            "yes" if report["converged"][name] else "no",
        ]
        rows.append([*row, f"{n_train:,}"] if stopped else row)
    columns = ["embedding", "1NN error", "Cover-Hart", "slope [90 %]", "converged"]
    return table(columns + ["rows"] * stopped, rows, right=(1, 2, 3, 5))


def _slope(low: float, slope: float, high: float) -> str:
    # Adding zero leaves no "-0.00".
    slope, low, high = (round(value, 2) + 0.0 for value in (slope, low, high))
    return f"{slope:.2f} [{low:.2f}, {high:.2f}]"


def _advice(option: Mapping[str, Any]) -> str:
    gain = f" Expected gain: {wording.gain(option['gain'])}." if option["gain"] else ""
    return f"{option['sentence']}{gain}"


def _origin(report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Say how the numbers came about and what they were calibrated on."""
    reference = report["reference_class"]
    ranges = ", ".join(
        f"{low:,} .. {high:,} {words}"
        for field, words in _RANGES.items()
        for low, high in [reference.get(field, (None, None))]
        if low is not None
    )
    yield "method", f"{report['method']}."
    yield (
        "reference class",
        f"{reference['problems']:,} problems with known Bayes error: {', '.join(reference['families'])}; "
        f"{ranges} ({report['noise_convention']}).",
    )
    yield "outside of it", f"{'; '.join(report['outside'])}." if report["outside"] else "in no respect."
