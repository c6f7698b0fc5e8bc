"""A feasibility study of a file in this process: no project, no system, nothing kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.defaults import project_name
from cluster.files import contents, parted

if TYPE_CHECKING:
    from easeml_ray.feasibility import FeasibilityReport

__all__ = ["study_file"]


def study_file(
    file: Path, task: dict[str, Any], *, progress: Callable[[int, int, str], None] | None = None
) -> FeasibilityReport:
    """Study the rows that a project made of the file would train and develop on.

    The rows that it would seal for its gate are left alone: they test models, and a target that was
    chosen with a look at them would be no target.

    Parameters
    ----------
    file : Path
        CSV or Parquet, one row an example.
    task : dict
        ``label``, ``target_accuracy``, and what else a task may say.
    progress : callable, optional
        Called as ``progress(done, total, stage)``.

    Returns
    -------
    FeasibilityReport
        What the study of that project would answer.

    Raises
    ------
    UnreadableFile, InvalidTable, InvalidSpec
        The file or the task cannot be used.
    """
    from easeml_ray.augment import alternatives
    from easeml_ray.component.data import most_probable
    from easeml_ray.embed import Classes, Encoder
    from easeml_ray.feasibility import study
    from easeml_ray.feasibility.work import SEED
    from easeml_ray.messages import Pillar

    prepared = parted(project_name(file.stem), contents(file), task)
    names = [column.name for column in prepared.schema]
    train, development = prepared.tables[Pillar.TRAIN], prepared.tables[Pillar.DEVELOPMENT]
    if any(train[name].null_count for name in names):
        train = most_probable(alternatives(train, names, prepared.label))
    encoder, classes = Encoder.fit(train, names), Classes(prepared.classes)
    return study(
        encoder.transform(train),
        classes.encode(train[prepared.label]),
        encoder.transform(development),
        classes.encode(development[prepared.label]),
        target_accuracy=task["target_accuracy"],
        n_classes=len(prepared.classes),
        seed=SEED,
        progress=progress,
    )
