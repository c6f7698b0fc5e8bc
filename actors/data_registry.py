"""DataRegistry: the only one that puts pillar data into the object store."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import ray

from actors.shell import Shell
from actors.tasks.work import encode
from easeml_ray.messages import DatasetRef, DataVersion, Pillar
from easeml_ray.registry.messages import FindParts
from easeml_ray.registry.state import RegistryState

__all__ = ["DataRegistry", "DataRegistryActor"]

_SHARE = 0.4  # of the object store's memory


class DataRegistryActor(Shell):
    """The shell of :class:`RegistryState`, with a cache of parts and encoded pillars in the object store."""

    state_type = RegistryState

    async def prepare(self) -> None:
        """Size the cache by the object store of the node."""
        self.shared: OrderedDict[tuple[str, str], tuple[Any, int]] = OrderedDict()
        self.encoding: dict[tuple[str, str], asyncio.Future[Any]] = {}
        memory = ray.cluster_resources().get("object_store_memory", 1e9)
        self.room = int(_SHARE * memory)

    async def fetch(self, ref: DatasetRef, capability: dict[str, Any]) -> list[Any]:
        """Return references to the parts of a pillar, after the one check of the capability."""
        found = await self.read(ref.project, FindParts(ref=ref, capability=capability))
        return [await self._part(found["tenant"], digest) for digest in found["parts"]]

    async def encoded(self, version: DataVersion, pillar: Pillar, capability: dict[str, Any]) -> list[Any]:
        """Return a reference to a pillar as arrays, encoded by a task once for all that ask."""
        ref = version.pillar(pillar)
        found = await self.read(ref.project, FindParts(ref=ref, capability=capability))
        key = (found["tenant"], ref.digest + version.encoder + version.schema)
        if key in self.shared:
            return [self._taken(key)]
        if key not in self.encoding:
            self.encoding[key] = asyncio.ensure_future(self._encode(key, version, pillar))
        # One of those that wait may be cancelled; the others still want it.
        return [await asyncio.shield(self.encoding[key])]

    async def _encode(self, key: tuple[str, str], version: DataVersion, pillar: Pillar) -> Any:
        try:
            made = encode.remote(self.config, key[0], version, pillar)
            self._share(key, made, (await made).X.nbytes)
            return made  # not looked up again: another that is shared may drop it at once
        finally:
            del self.encoding[key]

    async def _part(self, tenant: str, digest: str) -> Any:
        key = (tenant, digest)
        if key not in self.shared:
            table = await asyncio.to_thread(self.blobs.get_table, tenant, digest)
            self._share(key, ray.put(table), table.nbytes)
        return self._taken(key)

    def _share(self, key: tuple[str, str], reference: Any, size: int) -> None:
        self.shared[key] = (reference, size)
        while len(self.shared) > 1 and sum(size for _, size in self.shared.values()) > self.room:
            self.shared.popitem(last=False)

    def _taken(self, key: tuple[str, str]) -> Any:
        self.shared.move_to_end(key)
        return self.shared[key][0]


DataRegistry = ray.remote(DataRegistryActor)
