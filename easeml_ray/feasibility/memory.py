"""A study as bytes, so that the next version of the data is studied by what changed.

Symbols
-------
n = train rows studied, T = development rows, F = embeddings, P = blocks, C = classes
print = 64 bits of a hash of a row's features, by which a row is known to be as it was

Kept are the neighbours and what the probes predict: no features and no model. The embeddings are fitted
again, on the rows and labels of the first study, when rows are appended; they come out the same.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.feasibility.consensus import PARTS, Consensus
from easeml_ray.feasibility.evidence import Curve, Evidence
from easeml_ray.neighbors.neighbors import Found

__all__ = ["Memory", "prints_of"]

Prints = NDArray[np.uint64]
FORMAT = 1


def prints_of(X: FloatArray) -> Prints:
    """Return a print of each row, (n,). Shapes: X (n, d)."""
    rows = np.ascontiguousarray(X + 0.0)  # -0.0 and 0.0 are the same value
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, dtype=np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What is kept of a study. Shapes: row_ids, prints (n,); dev_ids, dev_prints (T,)."""

    evidence: Evidence
    encoder: str  # digest of the one that made the features, also of what is appended
    seed: int
    fit_labels: IntArray  # of the first train rows, as they were when the embeddings were fitted
    row_ids: IntArray
    prints: Prints
    dev_ids: IntArray
    dev_prints: Prints

    def to_bytes(self) -> bytes:
        """Return the memory as bytes."""
        e = self.evidence
        arrays: dict[str, NDArray[np.generic]] = {
            "about": np.array([FORMAT, self.seed, e.n_classes]),
            "encoder": np.array(self.encoder),
            "fit_labels": self.fit_labels,
            "row_ids": self.row_ids,
            "prints": self.prints,
            "dev_ids": self.dev_ids,
            "dev_prints": self.dev_prints,
            "y_train": e.y_train,
            "y_dev": e.y_dev,
            "seen_train": e.seen_train,
            "seen_dev": e.seen_dev,
            "order": e.order,
            "sizes": e.sizes,
            "embeddings": np.array(list(e.curves)),
            "members": np.array(list(e.members)),
        }
        for f, curve in enumerate(e.curves.values()):
            assert curve.last is not None
            arrays[f"nearest-{f}"] = np.stack(curve.nearest)
            arrays[f"distance-{f}"] = curve.last.distance
            arrays[f"digest-{f}"] = np.frombuffer(curve.last.digest, dtype=np.uint8)
        for k, codes in enumerate(e.members.values()):
            arrays[f"member-{k}"] = codes
        if e.consensus is not None:
            arrays |= {f"consensus-{part}": P for part, P in e.consensus.P.items()}
        out = io.BytesIO()
        np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Memory | None:
        """Rebuild a memory; None for one of another format, after which all is studied anew."""
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            arrays = dict(found)
        version, seed, n_classes = arrays["about"].tolist()
        if version != FORMAT:
            return None
        curves = {}
        for f, name in enumerate(arrays["embeddings"].tolist()):
            nearest, distance = arrays[f"nearest-{f}"], arrays[f"distance-{f}"]
            last = Found(
                distance, nearest[-1][:, None], int(nearest.max()) + 1, arrays[f"digest-{f}"].tobytes()
            )
            curves[name] = Curve(list(nearest), last)
        pooled = {part: arrays[f"consensus-{part}"] for part in PARTS if f"consensus-{part}" in arrays}
        evidence = Evidence(
            y_train=arrays["y_train"],
            y_dev=arrays["y_dev"],
            n_classes=n_classes,
            order=arrays["order"],
            sizes=arrays["sizes"],
            curves=curves,
            members={name: arrays[f"member-{k}"] for k, name in enumerate(arrays["members"].tolist())},
            consensus=Consensus(pooled) if pooled else None,
            seen_train=arrays["seen_train"],
            seen_dev=arrays["seen_dev"],
        )
        return cls(
            evidence,
            str(arrays["encoder"]),
            seed,
            arrays["fit_labels"],
            arrays["row_ids"],
            arrays["prints"],
            arrays["dev_ids"],
            arrays["dev_prints"],
        )
