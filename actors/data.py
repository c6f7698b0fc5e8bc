"""How pillar data reaches a process: by reference, from the object store, through the registry."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    GetTimeoutError,
    ObjectLostError,
    OwnerDiedError,
    RayTaskError,
)

from actors.call import find_actor, unwrapped
from easeml_ray.component.base import Encoded
from easeml_ray.errors import DeadlineExceeded
from easeml_ray.messages import DatasetRef, DataVersion, Pillar
from easeml_ray.registry.capability import Capability

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["resolve", "resolve_encoded"]

_SECONDS = 120.0  # for one resolution, the registry's restart included


def resolve(system: str, ref: DatasetRef, capability: Capability) -> pa.Table:
    """Return a pillar of a version, zero-copy from the object store where it is there.

    Blocking: for tasks and worker threads. DataRegistry checks the capability and owns the
    object; if it died since, or the object was lost, it is asked again.

    Raises
    ------
    CapabilityDenied
        The registry refused.
    DeadlineExceeded
        The registry did not come back in time.
    """
    import pyarrow as pa

    return pa.concat_tables(_fetched(system, ref, "fetch", ref, capability.to_dict()))


def resolve_encoded(system: str, version: DataVersion, pillar: Pillar, capability: Capability) -> Encoded:
    """Return a pillar as arrays; as :func:`resolve`."""
    ref = version.pillar(pillar)
    (found,) = _fetched(system, ref, "encoded", version, pillar, capability.to_dict())
    made: Encoded = found
    return made


def _fetched(system: str, ref: DatasetRef, method: str, *arguments: Any) -> list[Any]:
    """Return the objects that a method of DataRegistry names."""
    until = time.monotonic() + _SECONDS
    while (left := until - time.monotonic()) > 0:
        try:
            registry = find_actor(system, "DataRegistry")
            found = ray.get(getattr(registry, method).remote(*arguments), timeout=left)
            objects: list[Any] = ray.get(found, timeout=left)
            return objects
        except RayTaskError as error:
            raise unwrapped(error) from error
        except (
            ActorUnavailableError,
            ActorDiedError,
            ObjectLostError,
            OwnerDiedError,
            GetTimeoutError,
            ValueError,
        ):
            time.sleep(0.2)
    raise DeadlineExceeded(
        f"{ref.pillar.value} of version {ref.version} did not come within {_SECONDS:.0f} s",
        hint="Is DataRegistry alive? See easeml status.",
        seconds=_SECONDS,
    )
