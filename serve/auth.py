"""Who asks, and what that one may do: bearer tokens, roles, and whose project is whose.

A token reads ``<tenant>.<random>`` or ``<tenant>.<actor>.<random>``. Only the sha256 of the whole
is stored, so a token that is known vouches for the actor that is written in it: the name under
which answers, purchases and decisions are recorded.

=========  =======================================================================
role       may
=========  =======================================================================
admin      everything, in every tenant's projects; make tenants and tokens
tenant     everything in its own projects
annotator  see, lease, answer and skip requests of its tenant's projects, with the
           rows that they are about; decide nothing that spends or deploys
seller     offer rows to its tenant's projects, see its own offers and purchases
=========  =======================================================================
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from easeml_ray.errors import Forbidden, InvalidArgument, NotFound, Unauthenticated
from easeml_ray.messages import SYSTEM, Principal, Role
from easeml_ray.process.messages import ShowProject, ShowTenants
from easeml_ray.runtime.system import System

__all__ = [
    "Access",
    "Authenticator",
    "Caller",
    "CommandId",
    "Grant",
    "Known",
    "Projects",
    "Running",
    "allow",
    "make_token",
    "on_project",
    "token_hash",
]

log = logging.getLogger(__name__)

_MAX_TOKEN = 512
_MAX_KEY = 200


def make_token(tenant: str, actor: str | None = None) -> str:
    """Return a fresh token; 256 random bits stand in its last part.

    Parameters
    ----------
    tenant : str
        Whose token it is.
    actor : str, optional
        The person or program behind it; the tenant itself if not given.

    Examples
    --------
    >>> make_token("ann", "bob").split(".")[:2]
    ['ann', 'bob']
    """
    names = [tenant] if actor is None else [tenant, actor]
    return ".".join([*names, secrets.token_urlsafe(32)])


def token_hash(token: str) -> str:
    """Return what is stored of a token: its sha256 in hex.

    Examples
    --------
    >>> token_hash("ann.secret")[:8]
    'e251d3ce'
    """
    return hashlib.sha256(token.encode()).hexdigest()


def _actor_of(token: str, tenant: str) -> str:
    parts = token.split(".")
    return parts[1] if len(parts) == 3 and parts[0] == tenant else tenant


class Authenticator:
    """Turns tokens into principals.

    Parameters
    ----------
    system : System
        Knows the hashes.
    seconds : float
        For so long the hashes are taken from memory.
    again : float
        A token that is not among them causes another look, so many seconds after the last one: a
        new tenant's first request waits for it, and guesses cost no more looks than that.
    grace : float
        Up to this age a token that is known passes while the next look is under way, so that
        an endpoint answers on while Lifecycle restarts.
    """

    def __init__(
        self, system: System, *, seconds: float = 2.0, again: float = 0.25, grace: float = 0.0
    ) -> None:
        self._system = system
        self._seconds = seconds
        self._again = again
        self._grace = grace
        self._known: dict[str, tuple[str, str]] = {}  # token hash -> tenant, role
        self._read_at = -float("inf")
        self._lock = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None

    async def principal(self, token: str) -> Principal:
        """Return who a token belongs to.

        Raises
        ------
        Unauthenticated
            Nobody knows the token.
        """
        if len(token) > _MAX_TOKEN:
            raise _unknown()
        digest = token_hash(token)
        found = self._known.get(digest)
        age = time.monotonic() - self._read_at
        if found is not None and self._seconds < age < self._grace:
            self._look_aside()
        elif found is None:
            await self._look_again()
            found = self._known.get(digest)
        elif age > self._seconds:
            await self._refresh(self._seconds)
            found = self._known.get(digest)
        if found is None:
            raise _unknown()
        tenant, role = found
        return Principal(tenant, Role(role), _actor_of(token, tenant))

    def _look_aside(self) -> None:
        if self._background is None or self._background.done():
            self._background = asyncio.create_task(self._refresh(self._seconds))
            self._background.add_done_callback(_note_failure)

    async def knows(self, digest: str) -> bool:
        """Tell whether a token's hash is stored, by a fresh look."""
        await self._refresh(0.0)
        return digest in self._known

    async def _look_again(self) -> None:
        """Look for a token that is not among the known ones; one look serves all that ask meanwhile."""
        asked_at = time.monotonic()
        async with self._lock:
            if self._read_at > asked_at:
                return
            await asyncio.sleep(max(self._read_at + self._again - asked_at, 0.0))
            await self._read()

    async def _refresh(self, age: float) -> None:
        async with self._lock:
            if time.monotonic() - self._read_at >= age:
                await self._read()

    async def _read(self) -> None:
        asked_at = time.monotonic()  # what is made while the answer comes may not be in it
        shown = await self._system.read("process", SYSTEM, ShowTenants())
        # How long a look-up takes tells of the digest at most, and no token follows from a digest.
        self._known = {
            digest: (tenant, role)
            for tenant, hashes in shown["tenants"].items()
            for digest, role in hashes.items()
        }
        self._read_at = asked_at


def _note_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("a look in the background failed", exc_info=task.exception())


def _unknown() -> Unauthenticated:
    return Unauthenticated(
        "the token is not known",
        hint="Ask an administrator for a token: easeml tenant create NAME.",
    )


class Projects:
    """Whose project is whose, and what its task says to the endpoint.

    Parameters
    ----------
    system : System
        Knows the projects.
    seconds : float
        A task that was read longer ago is read again, aside; an owner never changes.
    """

    def __init__(self, system: System, *, seconds: float = 5.0) -> None:
        self._system = system
        self._seconds = seconds
        self._owners: dict[str, str] = {}
        self._rates: dict[str, tuple[float, float]] = {}  # project -> (read at, rate)
        self._background: dict[str, asyncio.Task[None]] = {}

    async def owner(self, project: str) -> str:
        """Return the tenant that owns a project.

        Raises
        ------
        NotFound
            No such project; the message names no other.
        """
        if project not in self._owners:
            await self._look(project)
        return self._owners[project]

    async def sample_rate(self, project: str) -> float:
        """Return the share of served rows that the task wants in its windows."""
        if project not in self._rates:
            await self._look(project)
        at, rate = self._rates[project]
        known = self._background.get(project)
        if time.monotonic() - at > self._seconds and (known is None or known.done()):
            # Aside: a prediction does not wait for it.
            self._background[project] = asyncio.create_task(self._look(project))
            self._background[project].add_done_callback(_note_failure)
        return rate

    async def _look(self, project: str) -> None:
        try:
            shown = await self._system.read("process", project, ShowProject())
        except NotFound:
            raise no_project(project) from None
        self._owners[project] = shown["tenant"]
        self._rates[project] = (time.monotonic(), float(shown["task"]["sample_rate"]))


def no_project(name: str) -> NotFound:
    """Return the one answer to a project that is not there and to one of another tenant."""
    return NotFound(
        f"no project {name}",
        hint="easeml status (GET /v1/projects) lists yours.",
        what="project",
        name=name,
    )


@dataclass(frozen=True, slots=True)
class Access:
    """What an application's routes work with; stands in ``app.state.access``."""

    system: System
    authenticator: Authenticator
    projects: Projects

    @classmethod
    def to(cls, system: System, *, grace: float = 0.0) -> Access:
        """Return fresh access to a system; ``grace`` as for :class:`Authenticator`."""
        return cls(system, Authenticator(system, grace=grace), Projects(system))


@dataclass(frozen=True, slots=True)
class Grant:
    """One project for one caller.

    Attributes
    ----------
    caller : Principal
        Who asks, in a tenant of its own.
    principal : Principal
        Who commands: the same role and actor in the name of the project's owner, under whom
        its blobs live.
    """

    project: str
    caller: Principal
    principal: Principal


def _access(request: Request) -> Access:
    access: Access = request.app.state.access
    return access


def _system(access: Known) -> System:
    return access.system


Known = Annotated[Access, Depends(_access)]
"""The application's access, for routes that need more of it than the system."""

Running = Annotated[System, Depends(_system)]
"""The running system that the application speaks for."""

_bearer = HTTPBearer(auto_error=False, description="A token as POST /v1/tenants answered it.")


async def _caller(
    access: Known,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Principal:
    if credentials is None:
        raise Unauthenticated(
            "no bearer token was given",
            hint="Send the header Authorization: Bearer TOKEN.",
        )
    return await access.authenticator.principal(credentials.credentials)


Caller = Annotated[Principal, Depends(_caller)]
"""The authenticated caller, whatever its role."""


def _check_role(caller: Principal, roles: tuple[Role, ...]) -> None:
    if caller.role is not Role.ADMIN and caller.role not in roles:
        raise Forbidden(
            f"the role {caller.role} may not do this",
            hint=f"It takes a token of role {', '.join([*roles, Role.ADMIN])}.",
        )


def allow(*roles: Role) -> Callable[[Principal], Awaitable[Principal]]:
    """Return a dependency that lets callers of these roles pass; admins always."""

    async def allowed(caller: Caller) -> Principal:
        _check_role(caller, roles)
        return caller

    return allowed


def on_project(*roles: Role) -> Callable[[Access, str, Principal], Awaitable[Grant]]:
    """Return a dependency that grants the project of the path to callers of these roles."""

    async def granted(access: Known, project: str, caller: Caller) -> Grant:
        _check_role(caller, roles)
        owner = await access.projects.owner(project)
        if caller.role is not Role.ADMIN and owner != caller.tenant:
            raise no_project(project)
        return Grant(project, caller, Principal(owner, caller.role, caller.actor))

    return granted


async def _command_id(
    request: Request,
    caller: Caller,
    idempotency_key: Annotated[
        str | None,
        Header(description="The same key on the same route is handled once and answered alike."),
    ] = None,
) -> str | None:
    if idempotency_key is None:
        return None
    if not 1 <= len(idempotency_key) <= _MAX_KEY:
        raise InvalidArgument(
            f"an Idempotency-Key of {len(idempotency_key)} characters",
            hint=f"Give 1 to {_MAX_KEY}, a UUID for example.",
            argument="Idempotency-Key",
        )
    # A key that is used on another route, or by somebody else, is another command.
    where = [caller.role, caller.actor, request.method, request.url.path, request.url.query]
    route = hashlib.sha256("\n".join(where).encode()).hexdigest()[:16]
    return f"{caller.tenant}:{idempotency_key}:{route}"


CommandId = Annotated[str | None, Depends(_command_id)]
"""The command_id that the Idempotency-Key header stands for; None without one."""
