"""``easeml submit``: run a project file on a Ray cluster."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from cluster.command.verb import Session, verb
from easeml_ray.errors import InvalidArgument, NotReady, UnreadableFile, WorkFailed

__all__ = ["submit"]

_POLL_SECONDS = 1.0


@verb
def submit(
    session: Session,
    spec: Annotated[Path, typer.Argument(help="The project file (YAML), inside the working directory.")],
    working_dir: Annotated[Path, typer.Option(help="What is sent to the cluster.")] = Path("."),
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job to its end.")] = True,
) -> None:
    """Run a project file as a Ray job, on the cluster of EASEML_RAY_ADDRESS or the local system."""
    folder = working_dir.resolve()
    path = spec.resolve()
    if not path.is_file():
        raise UnreadableFile(f"there is no file {spec}", hint="Give the path of a YAML file.")
    if not path.is_relative_to(folder):
        raise InvalidArgument(
            f"{spec} is not inside {folder}, which is what the cluster gets",
            hint="Name a folder that holds it: --working-dir.",
            argument="spec",
        )
    job = _Jobs(_address(session)).submit(path.relative_to(folder), folder)
    if not wait:
        session.show({"job": job.identity}, lambda out, _: out.print(f"Job {job.identity} was submitted."))
        return
    status = job.follow(session)
    session.show(
        {"job": job.identity, "status": status}, lambda out, _: out.print(f"Job {job.identity}: {status}")
    )
    if status != "SUCCEEDED":
        raise WorkFailed(
            f"job {job.identity} ended as {status}",
            hint="Its last lines say why.",
            action="job",
            cause=status,
        )


def _address(session: Session) -> str:
    """Return where the job server listens; the token of a local one goes into the environment."""
    if session.settings.ray_address is not None:
        return session.settings.ray_address
    found = session.running()
    if found is None or not found[1].jobs_url:
        raise NotReady(
            "no job server is named, and none runs here",
            hint="Start one: easeml up --jobs. Or name one: EASEML_RAY_ADDRESS=http://HOST:8265.",
        )
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = found[1].ray_token
    return found[1].jobs_url


class _Jobs:
    """A job server, and the job that was sent to it."""

    def __init__(self, address: str) -> None:
        from ray.job_submission import JobSubmissionClient

        try:
            self._client: Any = JobSubmissionClient(address)
        except (ConnectionError, RuntimeError) as error:
            raise NotReady(
                f"no job server answers at {address}: {error}",
                hint="Is the address that of the dashboard, e.g. http://HOST:8265?",
            ) from error
        self.identity = ""

    def submit(self, spec: Path, folder: Path) -> _Jobs:
        """Send the job."""
        self.identity = self._client.submit_job(
            entrypoint=f"python -m cluster.job {shlex.quote(str(spec))}",
            runtime_env={"working_dir": str(folder)},
        )
        return self

    def follow(self, session: Session) -> str:
        """Print what the job prints until it ends; return how it ended."""
        printed = 0
        while True:
            status = self._client.get_job_status(self.identity)
            text = self._client.get_job_logs(self.identity)
            if text[printed:]:
                session.err.print(text[printed:], end="", markup=False, soft_wrap=True)
                printed = len(text)
            if status.is_terminal():
                return str(status.value)
            time.sleep(_POLL_SECONDS)
