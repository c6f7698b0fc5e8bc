"""Pictures as files: which kind a name asks for, and writing one whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.markup import escape

from cluster.command.verb import Session
from cluster.files import write_whole
from easeml_ray.errors import InvalidArgument

__all__ = ["picture_kind", "save_picture"]


def picture_kind(picture: Path | None) -> Literal["svg", "png"]:
    """Return the kind of picture that a name asks for, before anything is done."""
    match None if picture is None else picture.suffix.lower():
        case None | ".svg":
            return "svg"
        case ".png":
            return "png"
    raise InvalidArgument(
        f"{picture} is no name for a picture", hint="Let it end in .svg or .png.", argument="picture"
    )


def save_picture(session: Session, picture: Path, content: bytes) -> None:
    """Write a picture and say where."""
    write_whole(picture, content)
    session.say(f"The picture is in {escape(str(picture))}.")
