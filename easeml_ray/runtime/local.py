"""A whole Ease.ML in one process, without Ray: the oracle of the actor system, and its test bed.

Everything is synchronous and in the order of the log: :meth:`LocalSystem.settle` issues what is
due until nothing is.
"""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.automl.messages import SetSlots
from easeml_ray.component.base import Bench, Encoded, Executor, Job, Progress
from easeml_ray.component.data import encode_pillar
from easeml_ray.component.executor import LocalExecutor
from easeml_ray.errors import Conflict, EasemlError
from easeml_ray.gate.messages import AnnounceKey
from easeml_ray.messages import SYSTEM, Action, Command, DatasetRef, DataVersion, Pillar, Principal, Role
from easeml_ray.process.state import LifecycleState
from easeml_ray.process.view import Project
from easeml_ray.registry.capability import mint
from easeml_ray.registry.messages import FindParts
from easeml_ray.runtime.components import ACTORS, work_of
from easeml_ray.runtime.host import Host
from easeml_ray.runtime.intake import Offering, TestSet, Upload, take
from easeml_ray.runtime.issue import command_of, is_final, refusal
from easeml_ray.runtime.states import STATES
from easeml_ray.runtime.system import System
from easeml_ray.sealing import new_private_key, public_key
from easeml_ray.store.base import BlobStore, EventStore

__all__ = ["LocalBench", "LocalSystem", "open_local"]

_MOST_ENCODED = 8  # pillars


class LocalBench:
    """A :class:`Bench` that reads blobs directly, through the registry's capability check."""

    def __init__(self, system: LocalSystem, component: str, action: str) -> None:
        self.blobs = system.blobs
        self._system = system
        self._component = component
        self._action = action

    def table(self, ref: DatasetRef) -> pa.Table:
        """Return a pillar; see :class:`Bench`."""
        return self._system.pillar(ref, self._component)

    def encoded(self, tenant: str, version: DataVersion, pillar: Pillar) -> Encoded:
        """Return an encoded pillar; see :class:`Bench`."""
        ref = version.pillar(pillar)
        table, known = self.table(ref), self._system.encoded
        key = (tenant, ref.digest, version.encoder, version.schema)
        if key not in known:
            known[key] = encode_pillar(self, tenant, version, table)
            if len(known) > _MOST_ENCODED:
                known.popitem(last=False)
        return known[key]

    def gate_key(self) -> bytes:
        """Return the gate's key to the gate alone."""
        if self._component != "gate":
            raise AssertionError(f"{self._component} asked for the gate's key")
        return self._system.gate_key

    def data_key(self) -> bytes:
        """Return the key of held-out digests."""
        return self._system.data_key

    def predict(self, tenant: str, model: str, features: pa.Table) -> NDArray[np.int64]:
        """Return class codes; see :class:`Bench`."""
        from easeml_ray.arms.model import load

        return load(bytes(self.blobs.get(tenant, model))).codes(features)

    def latency(self, tenant: str, model: str, features: pa.Table) -> float:
        """Return milliseconds a row; see :class:`Bench`."""
        from easeml_ray.arms.model import load
        from easeml_ray.gate.latency import row_latency

        return row_latency(load(bytes(self.blobs.get(tenant, model))).codes, features)

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """Return an executor of this thread; see :class:`Bench`."""
        yield LocalExecutor()

    def progress(self, done: int, total: int, stage: str) -> None:
        """Tell the component's state; see :class:`Bench`."""
        self._system.hosts[self._component].state.note(self._action, Progress(done, total, stage))


class LocalSystem(System):
    """Nine components on one store.

    The gate's private key and the key of held-out digests are made afresh if not given. ``clock`` gives
    seconds since 1970; ``slots`` are trials at once.
    """

    def __init__(
        self,
        store: EventStore,
        blobs: BlobStore,
        *,
        gate_key: bytes | None = None,
        data_key: bytes | None = None,
        clock: Callable[[], float] = time.time,
        slots: int = 2,
    ) -> None:
        super().__init__()
        self.store = store
        self.blobs = blobs
        self.clock = clock
        self.gate_key = gate_key or new_private_key()
        self.data_key = data_key or uuid.uuid4().bytes
        self.hosts = {name: Host(state(), store, actor=ACTORS[name].name) for name, state in STATES.items()}
        self.encoded: OrderedDict[tuple[str, ...], Encoded] = OrderedDict()
        self._rng = np.random.default_rng()
        for host in self.hosts.values():
            host.start()
        root = Principal(SYSTEM, Role.SYSTEM, "local")
        self._handle("gate", SYSTEM, root, AnnounceKey(public_key=public_key(self.gate_key).hex()))
        self._handle("automl", SYSTEM, root, SetSlots(slots=slots))

    # -- the machinery ----------------------------------------------------------------------

    def _handle(
        self, component: str, project: str, principal: Principal, body: Any, command_id: str | None = None
    ) -> dict[str, Any]:
        seed = int(self._rng.integers(0, 2**63))
        identity = command_id or uuid.uuid4().hex
        command = Command(identity, project, principal, self.clock(), seed, body)
        return self.hosts[component].handle(command)

    def settle(self, *, limit: int = 100_000) -> int:
        """Issue what is due until nothing is; return how many actions that were.

        Conflict if ``limit`` actions were not enough: something makes itself due for ever.
        """
        for count in range(limit):
            self.hosts["process"].follow()
            due = next(self._due(), None)
            if due is None:
                return count
            self._issue(*due)
        raise Conflict(f"{limit} actions did not settle the system", hint="Look for a loop in the log.")

    def _due(self) -> Any:
        now = self.clock()
        for name, host in self.hosts.items():
            for action in host.state.due():
                if action.at <= now:
                    yield name, action

    def _issue(self, component: str, action: Action) -> None:
        try:
            if action.to is not None:
                command = command_of(action, component, action.body, now=self.clock())
                self.hosts[action.to].handle(command)
                return
            perform = work_of(component)[type(action.body)]
            bench: Bench = LocalBench(self, component, action.id)
            result = perform(Job.of(action), bench)
        except EasemlError as error:
            if not is_final(error):
                raise
            result = refusal(action, error)
        self.hosts[component].handle(command_of(action, component, result, now=self.clock()))

    def pillar(self, ref: DatasetRef, holder: str) -> pa.Table:
        """Return a pillar through the registry's check; see :meth:`System.table`."""
        capability = mint(ref.project, ref.pillar, holder)
        query = FindParts(ref=ref, capability=capability.to_dict())
        found = self.hosts["registry"].state.read(ref.project, query)
        tables = [self.blobs.get_table(found["tenant"], digest) for digest in found["parts"]]
        return pa.concat_tables(tables)

    def project(self, name: str) -> Project:
        """Return Lifecycle's view of a project."""
        state = self.hosts["process"].state
        assert isinstance(state, LifecycleState)
        self.hosts["process"].follow()
        return state.project(name)

    # -- System -----------------------------------------------------------------------------

    async def handle(
        self, component: str, project: str, principal: Principal, body: Any, *, command_id: str | None = None
    ) -> dict[str, Any]:
        """Send a command and settle all that follows from it; see :class:`System`."""
        reply = self._handle(component, project, principal, body, command_id)
        self.settle()
        return reply

    async def replied(self, component: str, command_id: str) -> dict[str, Any] | None:
        """Return the reply to a command that was handled; see :class:`System`."""
        done = self.store.find(command_id)
        return dict(done[-1].reply or {}) if done else None

    async def read(self, component: str, project: str, query: Any) -> dict[str, Any]:
        """Send a query; see :class:`System`."""
        self.hosts["process"].follow()
        return self.hosts[component].state.read(project, query)

    async def table(self, ref: DatasetRef, holder: str) -> pa.Table:
        """Return a pillar; see :class:`System`."""
        return self.pillar(ref, holder)

    async def take(self, asked: Upload | TestSet | Offering, data: bytes) -> Any:
        """Check bytes from outside here; see :class:`System`."""
        return take(asked, data, blobs=self.blobs, data_key=self.data_key)


def open_local(state: Path, *, slots: int = 2) -> LocalSystem:
    """Open (or make) a state folder and run it in this process."""
    from easeml_ray.runtime.keys import new_key, private_folder, read_or_make_key
    from easeml_ray.store import open_stores

    private_folder(state)
    store, blobs = open_stores(f"sqlite:///{state / 'easeml.db'}", str(state / "blobs"))
    return LocalSystem(
        store,
        blobs,
        gate_key=read_or_make_key(state / "gate.key", new_private_key),
        data_key=read_or_make_key(state / "data.key", new_key),
        slots=slots,
    )
