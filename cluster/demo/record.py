"""What the demonstration remembers beside the system's own state: tokens, and the story once told."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cluster.narrator import Line
from easeml_ray.errors import Conflict

__all__ = ["Record"]

_FILE = "demo.json"
_ACTS = ("answers", "stream")  # told when done, not when looked at: two that read alike are two


@dataclass
class Record:
    """One demonstration in its state folder.

    Attributes
    ----------
    folder : Path
        The state folder, the demonstration's own.
    tokens : dict of str to str
        By tenant. They are shown once by the system, so that they must be kept to go on.
    lines : list of Line
        What was told so far.
    results : list of dict or None
        The end of each application; None until all are at their end.
    seconds : float
        What the run that finished took.
    """

    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    results: list[dict[str, Any]] | None = None
    seconds: float = 0.0

    @classmethod
    def open(cls, folder: Path) -> Record:
        """Read the record of a folder; an empty one if there is none."""
        try:
            kept = json.loads((folder / _FILE).read_text())
        except FileNotFoundError:
            return cls(folder)
        lines = [Line(**line) for line in kept["lines"]]
        return cls(folder, kept["tokens"], lines, kept["results"], kept["seconds"])

    def save(self) -> None:
        """Write the record so that it is the old or the new one at any time; only its owner reads it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {
            "tokens": self.tokens,
            "lines": [asdict(line) for line in self.lines],
            "results": self.results,
            "seconds": self.seconds,
        }
        draft = self.folder / f".{_FILE}"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(kept, file, indent=1, default=str)
        draft.replace(self.folder / _FILE)

    def told(self, line: Line) -> bool:
        """Keep a line; False if an earlier run told it: who looks anew sees the old things first."""
        if line.stage not in _ACTS and line in self.lines:
            return False
        self.lines.append(line)
        self.save()
        return True

    def wipe(self) -> None:
        """Remove the folder and all that is in it.

        Raises
        ------
        Conflict
            The folder is not empty and no demonstration made it.
        """
        if not self.folder.exists():
            return
        if any(self.folder.iterdir()) and not (self.folder / _FILE).exists():
            raise Conflict(
                f"{self.folder} holds something that no demonstration put there",
                hint="Move it away, or name another state folder: --state.",
            )
        shutil.rmtree(self.folder)
        self.tokens, self.lines, self.results, self.seconds = {}, [], None, 0.0
