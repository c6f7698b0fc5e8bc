"""The picture of a feasibility report: what it shows, and that it leaves no trace."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility import FeasibilityDecision, FeasibilityReport, cover_hart_lower_bound
from easeml_ray.feasibility.picture import COLOURS, _figure, draw
from easeml_ray.feasibility.report import CurvePoint, SamplesNeeded
from easeml_ray.pictures import _fresh_folder, _own_folder, _style

SIZES = (100, 200, 400)


def report(errors: dict[str, tuple[int, ...]] | None = None, **changes: Any) -> FeasibilityReport:
    """Return a report on 400 train and 200 development rows of three classes."""
    errors = errors or {"raw": (80, 70, 60), "pca-8": (70, 52, 40), "nca-8": (75,)}
    curves = {
        name: tuple(
            CurvePoint(n, count, cover_hart_lower_bound(count / 200, 3))
            for n, count in zip(SIZES, counts, strict=False)
        )
        for name, counts in errors.items()
    }
    best = min(errors, key=lambda name: errors[name][-1])
    made = FeasibilityReport(
        decision=FeasibilityDecision.UNDECIDED, belief=0.4, target_accuracy=0.85, ber_estimate=0.14,
        ber_interval=(0.06, 0.21), ber_lower=curves[best][-1].cover_hart, ber_upper=errors[best][-1] / 200,
        ber_lower_interval=(0.08, 0.13), ber_upper_interval=(0.15, 0.26), best_embedding=best,
        best_classifier="forest", best_error=0.17, best_limit=0.24, model_error=0.18, curves=curves,
        slopes=dict.fromkeys(errors, (0.1, 0.3, 0.5)), converged=dict.fromkeys(errors, False), settled=False,
        samples_needed=SamplesNeeded(900, 500, 2500, False), options=(), n_train=400, n_dev=200, n_classes=3,
        stale_rows=0, stale_dev_rows=0, outside=(), reference_class={}, method="test",
        noise_convention="uniform", seed=0,
    )  # fmt: skip
    return replace(made, **changes)


def told(svg: bytes) -> str:
    """Return the texts of a picture; glyphs are paths, and matplotlib notes what they say in comments."""
    ElementTree.fromstring(svg)
    lines = [line.strip() for line in svg.decode().splitlines()]
    return "\n".join(line[5:-4] for line in lines if line.startswith("<!-- "))


def test_a_report_is_one_picture_of_either_kind_with_any_settings_in_any_thread() -> None:
    import matplotlib

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(draw, [report(), report()])
    before = matplotlib.rcParams["font.size"]
    try:
        matplotlib.rcParams["font.size"] = 31.0
        assert draw(report()) == first == second
        assert matplotlib.rcParams["font.size"] == 31.0
    finally:
        matplotlib.rcParams["font.size"] = before
    assert b"<dc:date>" not in first
    png = draw(report(), "png")
    assert png.startswith(b"\x89PNG")
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (1440, 840)
    with pytest.raises(InvalidArgument, match="'gif'"):
        draw(report(), "gif")  # type: ignore[arg-type]


def test_curves_band_target_and_outlook_stand_where_the_report_says() -> None:
    with _style():
        axes = _figure(report()).axes[0]
    drawn = {
        tuple(np.round(line.get_xdata(), 3)): np.asarray(line.get_ydata(), dtype=float)
        for line in axes.lines
        if line.get_linestyle() == "-"
    }
    assert drawn[0, 1].tolist() == [0.15, 0.15]
    assert drawn[500, 900, 2500].tolist() == [0.15] * 3
    solid = [line for line in axes.lines if tuple(line.get_xdata()) == SIZES and line.get_marker() != "None"]
    assert [line.get_ydata().tolist() for line in solid] == [[0.35, 0.26, 0.2], [0.4, 0.35, 0.3]]
    assert [line.get_linewidth() for line in solid] == [2.4, 1.3]
    (stopped,) = (
        line for line in axes.lines if tuple(line.get_xdata()) == SIZES[:1] and line.get_marker() == "^"
    )
    assert stopped.get_ydata().tolist() == [0.375]
    (band,) = axes.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == (0.06, 0.21)
    (star,) = (line for line in axes.lines if line.get_marker() == "*")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (400, 0.18)
    h = cover_hart_lower_bound(0.2, 3)
    ends = sorted(float(line.get_ydata()[-1]) for line in axes.lines if line.get_xdata()[-1] > 3999)
    at_cap = h * 10**-0.3
    assert ends == pytest.approx([at_cap, at_cap * (2 - 1.5 * at_cap)])
    wedge = axes.collections[0].get_paths()[0].vertices
    at_cap = h * np.array([10**-0.5, 10**-0.1])
    right = wedge[wedge[:, 0] > 3999, 1]
    assert [right.min(), right.max()] == pytest.approx(at_cap * (2 - 1.5 * at_cap))


def test_the_legend_says_the_numbers() -> None:
    shown = told(draw(report(outside=("400 train rows, the fewest there are 500",))))
    for text in (
        "UNDECIDED for a target accuracy of 0.85",
        "belief 0.40 that it is possible",
        "target error 0.150",
        "Bayes error, estimate 0.140",
        "Bayes error, 90 % interval 0.060 .. 0.210",
        "a model now, error 0.180",
        "a model meets it at 900 rows",
        "pca-8  0.200\nraw  0.300\nnca-8  0.375 (100 rows)",
        "pca-8 with more rows",
        "therefore widened: 400 train rows, the fewest there are 500.",
    ):
        assert text in shown or text in shown.replace("\n", " "), text


MANY = {f"e{i}": (50, 50, 50 - i) for i in range(12)}
ODD = {
    "many": (report(MANY), ["e11  0.195", "e3  0.235", "3 others, none better"]),
    "one point": (report({"raw": (3,)}, n_train=100), ["raw  0.015"]),
    "no errors": (report({"raw": (0, 0, 0)}, ber_interval=(0.0, 0.0), ber_estimate=0.0), ["raw  0.000"]),
    "always wrong": (report({"raw": (200, 200, 200)}), ["raw  1.000"]),
    "beyond the curve": (report(samples_needed=SamplesNeeded(4000, 900, 4000, True)), ["target error"]),
    "names": (
        report({"_$a$<&>": (9, 8), "星\x00": (9, 9), "long" * 9: (7, 7)}),
        ["_$a$", "??  0", "longlonglon…"],
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_reports_have_pictures_too(name: str) -> None:
    drawn, texts = ODD[name]
    shown = told(draw(drawn))
    for text in texts:
        assert text in shown
    assert ("meets it" in shown) == (name != "beyond the curve")


def test_colours_do_not_change_with_the_ranks() -> None:
    errors = {"raw": (80, 70, 60), "pca-8": (70, 52, 40)}
    with _style():
        before = _figure(report(errors)).axes[0]
        after = _figure(report({**errors, "raw": (80, 70, 30)})).axes[0]
    for axes in (before, after):
        looks = {line.get_marker(): line.get_color() for line in axes.lines}
        assert (looks["o"], looks["s"]) == COLOURS[:2]


def test_nothing_is_written_to_the_home_folder(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    kept = tmp_path / "report.json"
    kept.write_text(json.dumps(report().to_dict()))
    code = (
        "import hashlib, json, os, sys\n"
        "from easeml_ray.feasibility import FeasibilityReport\n"
        "from easeml_ray.feasibility.picture import draw\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"found = draw(FeasibilityReport.from_dict(json.load(open({str(kept)!r}))))\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'MPLCONFIGDIR' not in os.environ\n"
        "print(hashlib.sha256(found).hexdigest())"
    )
    given = {k: v for k, v in os.environ.items() if not k.startswith(("XDG", "MPL"))}
    given |= {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == hashlib.sha256(draw(report())).hexdigest()
    assert ran.stderr == ""
    assert list(home.iterdir()) == []
    (folder,) = temporary.iterdir()
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_others_can_write_in_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    assert _own_folder(own) == own == _own_folder(own)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(own)
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("open", "link", "file"):
        fresh = _own_folder(tmp_path / name)
        assert fresh not in (tmp_path / name, own)
        assert fresh.stat().st_mode & 0o077 == 0
    assert _fresh_folder().is_dir()
