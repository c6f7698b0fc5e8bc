"""DataRegistry: the only one that puts pillar data into the object store."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import ray

from actors.shell import Shell
from easeml_ray.messages import DatasetRef
from easeml_ray.registry.messages import FindParts
from easeml_ray.registry.state import RegistryState

__all__ = ["DataRegistry", "DataRegistryActor"]

_SHARE = 0.4  # of the object store's memory


class DataRegistryActor(Shell):
    """The shell of :class:`RegistryState`, with a cache of part blobs in the object store."""

    state_type = RegistryState

    async def prepare(self) -> None:
        """Size the cache by the object store of the node."""
        self.parts: OrderedDict[tuple[str, str], tuple[Any, int]] = OrderedDict()
        memory = ray.cluster_resources().get("object_store_memory", 1e9)
        self.room = int(_SHARE * memory)

    async def fetch(self, ref: DatasetRef, capability: dict[str, Any]) -> list[Any]:
        """Return references to the parts of a pillar, after the one check of the capability."""
        found = await self.read(ref.project, FindParts(ref=ref, capability=capability))
        return [await self._part(found["tenant"], digest) for digest in found["parts"]]

    async def _part(self, tenant: str, digest: str) -> Any:
        key = (tenant, digest)
        if key not in self.parts:
            table = await asyncio.to_thread(self.blobs.get_table, tenant, digest)
            self.parts[key] = (ray.put(table), table.nbytes)
            while len(self.parts) > 1 and sum(size for _, size in self.parts.values()) > self.room:
                self.parts.popitem(last=False)
        self.parts.move_to_end(key)
        return self.parts[key][0]


DataRegistry = ray.remote(DataRegistryActor)
