"""The errors of easeml_ray: one tree, typed fields, a hint in each.

::

    EasemlError                     status  exit
    ├── BadInput                       400     2   what was given cannot be used
    │   ├── InvalidSpec                            a task specification
    │   ├── InvalidTable                           a file or a table
    │   │   ├── UnreadableFile                     not the format it claims to be
    │   │   ├── NestedColumn                       lists, structs or maps in a column
    │   │   ├── MissingColumn                      a named column is not there
    │   │   ├── MissingLabels                      rows without a label
    │   │   ├── OneClass                           fewer than two classes
    │   │   ├── EmptyColumn                        a column without any value
    │   │   ├── DuplicateIds                       an id given twice
    │   │   ├── SchemaMismatch                     columns other than the project's
    │   │   └── TooFewRows                         not enough rows to split or to test
    │   ├── InvalidArgument                        an array or a parameter
    │   ├── ConditionSyntax                        a CI condition that does not parse
    │   ├── TooFewTestRows                         the test set cannot carry the guarantee
    │   ├── HeldOutOverlap                         rows that a held-out pillar already holds
    │   ├── InvalidAnswer                          an answer outside what was asked
    │   └── ModelFailed                            a model that cannot answer rows
    ├── Denied                                     who asks may not
    │   ├── Unauthenticated            401     3   no token, or an unknown one
    │   ├── Forbidden                  403     3   the role or the tenant does not allow it
    │   └── CapabilityDenied           403     3   the pillar is closed to this holder
    ├── NotFound                       404     4   no such project, model, request, …
    ├── Conflict                       409     5   the present state does not allow it
    │   ├── AlreadyExists
    │   ├── IllegalTransition                      a state machine refuses the event
    │   ├── RequestClosed                          the request was answered, skipped or expired
    │   ├── QuotaExceeded                          more often than is allowed
    │   ├── VersionConflict                        somebody else appended first
    │   └── StaleIncarnation                       a newer incarnation of the actor lives
    ├── TooLarge                       413     2   an upload or a message over its limit
    ├── NotReady                       503     6   come again later
    │   └── NoModel                                no model of the project has passed yet
    ├── StoreError                     500     7   the store refuses or is damaged
    │   ├── SchemaTooNew                           written by a newer easeml_ray
    │   ├── SchemaTooOld                           written by an older one, whose tables are not read
    │   ├── BlobMissing
    │   └── BlobCorrupt
    └── SystemFailure                  500     8   the machinery failed, not the input
        ├── StartupFailed                          Ray or a server did not start
        ├── DeadlineExceeded           504         no answer in time
        └── WorkFailed                             a piece of work raised what it should not

Every error is raised with keyword fields that its class declares, survives a
pickle round trip across Ray, and becomes an RFC 9457 problem document over HTTP.
"""

from __future__ import annotations

from typing import Any, ClassVar


class EasemlError(Exception):
    """Root of the tree: what is wrong and where in one sentence, and what to do about it (may be empty).

    Further keywords are the values of the fields that the class declares by annotation; TypeError for others.
    """

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    kinds: ClassVar[dict[str, type[EasemlError]]] = {}
    declared: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {k for k, v in cls.__annotations__.items() if not str(v).startswith("ClassVar")}
        cls.declared = cls.declared | own
        EasemlError.kinds[cls.__name__] = cls

    def __init__(self, message: str, *, hint: str = "", **fields: Any) -> None:
        unknown = set(fields) - self.declared
        if unknown:
            raise TypeError(f"{type(self).__name__} declares no field {sorted(unknown)}")
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that are not set: declared fields, None when not given.
        if name in type(self).declared:
            return self.__dict__.get("fields", {}).get(name)
        raise AttributeError(name)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ replays positional arguments only.
        return (EasemlError.from_dict, (self.to_dict(),))

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EasemlError) and self.to_dict() == other.to_dict()

    __hash__ = Exception.__hash__

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain values: kind, message, hint and fields."""
        return {
            "kind": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "fields": self.fields,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> EasemlError:
        """Rebuild an error from :meth:`to_dict`; an unknown kind becomes its root."""
        kind = EasemlError.kinds.get(value["kind"], EasemlError)
        fields = {k: v for k, v in value.get("fields", {}).items() if k in kind.declared}
        return kind(value["message"], hint=value.get("hint", ""), **fields)


class BadInput(EasemlError):
    """What was given cannot be used."""

    status = 400
    exit_code = 2


class InvalidSpec(BadInput):
    """A task specification is wrong."""

    field: str


class InvalidTable(BadInput):
    """A file or a table cannot be used."""

    column: str
    rows: list[int]


class UnreadableFile(InvalidTable):
    """The bytes are not of the format that they claim to be."""

    line: int


class NestedColumn(InvalidTable):
    """A column holds lists, structs or maps."""


class MissingColumn(InvalidTable):
    """A named column is not in the table."""

    columns: list[str]


class MissingLabels(InvalidTable):
    """Rows without a label."""


class OneClass(InvalidTable):
    """Fewer than two classes."""


class EmptyColumn(InvalidTable):
    """A column without any value."""


class DuplicateIds(InvalidTable):
    """An id that is given more than once."""


class SchemaMismatch(InvalidTable):
    """The columns are not those of the project."""


class TooFewRows(InvalidTable):
    """Not enough rows."""

    required: int
    available: int


class InvalidArgument(BadInput):
    """An array or a parameter is outside what a function accepts."""

    argument: str


class ConditionSyntax(BadInput):
    """A CI condition does not parse."""

    text: str
    position: int


class TooFewTestRows(BadInput):
    """The stable test set is too small for the guarantee asked."""

    required: int
    available: int
    ways_out: list[str]


class HeldOutOverlap(BadInput):
    """Rows that a held-out pillar holds were offered for training, or ones that came before as a test set.

    ``rows`` are the first of them, counted from 1 in the file; empty where they would tell a stranger what a
    test set holds.
    """

    count: int
    rows: list[int]


class InvalidAnswer(BadInput):
    """An answer is not one of those that the request allows."""

    request: str


class ModelFailed(BadInput):
    """A model raised, or answered nothing of use, on rows that fit its schema."""

    cause: str


class Denied(EasemlError):
    """Who asks may not."""

    status = 403
    exit_code = 3


class Unauthenticated(Denied):
    """No token, or one that nobody knows."""

    status = 401


class Forbidden(Denied):
    """The role or the tenant does not allow it."""


class CapabilityDenied(Denied):
    """The pillar is closed to this holder."""

    holder: str
    pillar: str
    verb: str


class NotFound(EasemlError):
    """No such thing."""

    status = 404
    exit_code = 4
    what: str
    name: str


class Conflict(EasemlError):
    """The present state does not allow it."""

    status = 409
    exit_code = 5


class AlreadyExists(Conflict):
    """A thing of this name exists."""

    what: str
    name: str


class IllegalTransition(Conflict):
    """A state machine refuses an event in its present state."""

    machine: str
    instance: str
    state: str
    event: str
    allowed: list[str]


class RequestClosed(Conflict):
    """The request was answered, skipped or expired."""

    request: str
    state: str


class QuotaExceeded(Conflict):
    """More often than is allowed."""

    status = 429
    quota: str
    limit: int


class VersionConflict(Conflict):
    """Somebody else appended to the stream first."""

    stream: str
    expected: int
    found: int


class StaleIncarnation(Conflict):
    """A newer incarnation of the actor lives; this one must end."""

    actor: str
    epoch: int
    current: int


class TooLarge(EasemlError):
    """An upload or a message is over its limit."""

    status = 413
    exit_code = 2
    limit: int
    size: int


class NotReady(EasemlError):
    """Come again later."""

    status = 503
    exit_code = 6


class NoModel(NotReady):
    """No model of the project has passed its gate yet."""

    project: str


class StoreError(EasemlError):
    """The store refuses or is damaged."""

    exit_code = 7


class SchemaTooNew(StoreError):
    """The store was written by a newer easeml_ray."""

    found: int
    known: int


class SchemaTooOld(StoreError):
    """The store was written by an older easeml_ray, whose events this one does not fold."""

    found: int
    known: int


class BlobMissing(StoreError):
    """A blob is not in the store."""

    digest: str


class BlobCorrupt(StoreError):
    """The bytes of a blob do not have its digest."""

    digest: str


class SystemFailure(EasemlError):
    """The machinery failed, not the input."""

    exit_code = 8


class StartupFailed(SystemFailure):
    """Ray or a server did not start."""

    attempts: int


class DeadlineExceeded(SystemFailure):
    """No answer in time."""

    status = 504
    seconds: float


class WorkFailed(SystemFailure):
    """A piece of work raised what it should not."""

    action: str
    cause: str


__all__ = ["EasemlError", *EasemlError.kinds]
