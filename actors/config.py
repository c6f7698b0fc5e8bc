"""What every process of one system must know: its name and where its state is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["NAMESPACE", "SystemConfig", "actor_name"]

NAMESPACE = "easeml"
"""The Ray namespace of all systems."""


@dataclass(frozen=True, slots=True)
class SystemConfig:
    """One system.

    Attributes
    ----------
    name : str
        Tells systems on one Ray cluster apart.
    state : str
        Folder of keys (and, by default, of events and blobs).
    store : str
        URL of the event store.
    blobs : str
        URI of the blob store.
    slots : int
        Trials that run at once.
    trial_cpus, trial_gpus : float
        What one trial worker reserves; fractions of a device are bookkeeping.
    """

    name: str
    state: str
    store: str
    blobs: str
    slots: int = 2
    trial_cpus: float = 0.5
    trial_gpus: float = 0.0

    @classmethod
    def local(cls, state: Path, *, name: str = "local", slots: int = 2) -> SystemConfig:
        """Return the configuration that keeps everything in one folder."""
        return cls(name, str(state), f"sqlite:///{state / 'easeml.db'}", str(state / "blobs"), slots)

    @property
    def gate_key_file(self) -> Path:
        """The gate's private key; only CIGate's process opens it."""
        return Path(self.state) / "gate.key"

    @property
    def data_key_file(self) -> Path:
        """The key of the digests of held-out rows."""
        return Path(self.state) / "data.key"


def actor_name(system: str, actor: str) -> str:
    """Return the name under which an actor is registered in :data:`NAMESPACE`."""
    return f"easeml-{system}/{actor}"
