"""Who may touch which pillar: the access matrix and the capability that carries it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from easeml_ray.errors import CapabilityDenied
from easeml_ray.messages import DatasetRef, Pillar

__all__ = ["MATRIX", "Capability", "check", "mint"]

_T, _D, _S, _R = Pillar.TRAIN, Pillar.DEVELOPMENT, Pillar.STABLE, Pillar.REALTIME

MATRIX: MappingProxyType[str, dict[Pillar, frozenset[str]]] = MappingProxyType(
    {
        "feasibility": {_T: frozenset({"read"}), _D: frozenset({"read"})},
        "cleaning": {_T: frozenset({"read", "propose"}), _D: frozenset({"read", "propose"})},
        "market": {_T: frozenset({"read", "propose"}), _D: frozenset({"read"})},
        "registry": {_T: frozenset({"read", "write"}), _D: frozenset({"read", "write"})},
        "augment": {_T: frozenset({"read", "write"}), _D: frozenset({"confirm"})},
        "automl": {_T: frozenset({"read"}), _D: frozenset({"read"})},
        "gate": {_S: frozenset({"read"})},
        "pool": {_R: frozenset({"features"})},
        "oracle": {_R: frozenset({"labels"})},
        "people": {_T: frozenset({"read"}), _D: frozenset({"read"}), _R: frozenset({"features"})},
    }
)
"""holder -> pillar -> verbs. What is not here is closed."""


@dataclass(frozen=True, slots=True)
class Capability:
    """The right of one holder to use one pillar of one project.

    ``mac`` authenticates the capability between nodes; it is empty on one node.
    """

    project: str
    pillar: Pillar
    verbs: frozenset[str]
    holder: str
    mac: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a message carries them."""
        return {**asdict(self), "pillar": self.pillar.value, "verbs": sorted(self.verbs)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Capability:
        """Rebuild a capability from :meth:`to_dict`."""
        pillar, verbs = Pillar(value["pillar"]), frozenset(value["verbs"])
        return cls(value["project"], pillar, verbs, value["holder"], value["mac"])


def mint(project: str, pillar: Pillar, holder: str) -> Capability:
    """Return the capability that the matrix gives ``holder``; CapabilityDenied if it gives none."""
    verbs = MATRIX.get(holder, {}).get(pillar, frozenset())
    if not verbs:
        raise _denied(holder, pillar, "any")
    return Capability(project, pillar, verbs, holder)


def check(capability: Capability, ref: DatasetRef, verb: str) -> None:
    """Let pass only what both the capability and the matrix allow."""
    # Else CapabilityDenied: another project or pillar, a verb not granted, or a capability never given.
    granted = MATRIX.get(capability.holder, {}).get(capability.pillar, frozenset())
    if (
        capability.project != ref.project
        or capability.pillar != ref.pillar
        or verb not in capability.verbs
        or not capability.verbs <= granted
    ):
        raise _denied(capability.holder, ref.pillar, verb)


def _denied(holder: str, pillar: Pillar, verb: str) -> CapabilityDenied:
    return CapabilityDenied(
        f"{holder} may not {verb} the {pillar.value} pillar",
        hint="The access matrix of the four pillars does not allow it; see easeml_ray/registry/README.md.",
        holder=holder,
        pillar=pillar.value,
        verb=verb,
    )
