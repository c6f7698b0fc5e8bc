"""Row values against pyDVL 0.10 and datascope 0.0.32: the same data, one thread, CPU time, in turns.

Both peers need numpy < 2, so that the script makes an environment of their own, in --peers or in a
temporary folder, and asks them in a process of theirs (knn_shapley_peer.py). What is timed is the
valuation alone, by ``time.process_time`` in each process; compilation is warmed up before, as the
peers' imports are. The data are normal rows without ties, where all must agree.

exact      milliseconds of CPU a development row, k = 5 against pyDVL and k = 1 against datascope
epsilon    ours with epsilon = .01 against pyDVL: an approximation, quoted with its error
agreement  the largest difference of a value, and how far the peers are from the definition
sellers    seconds for the exact game of 50 sellers, k = 5, 500 development rows

    python tests/benchmarks/knn_shapley.py [--json] [--peers FOLDER] [--rounds 3] [--small]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when numpy is imported

import numpy as np

from easeml_ray.market import knn_shapley, seller_shapley

# rows, features, development rows for pyDVL and datascope, limits as times faster
SIZES = {
    "20k": (20_000, 32, 100, {"pydvl": 60.0, "datascope": 12.0, "epsilon": 150.0}),
    "100k": (100_000, 64, 40, {"pydvl": 40.0, "datascope": 10.0}),
}
PINNED = (["pip", "numpy<2", "cython", "setuptools", "wheel"], ["pyDVL==0.10.0"], ["datascope==0.0.32"])


def peers_python(folder: Path) -> Path:
    """Return the interpreter of the peers' environment, made the first time."""
    python = folder / "env" / "bin" / "python"
    done = folder / "env" / "complete"
    if done.exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    for packages in PINNED:
        # datascope is a source distribution that builds with the numpy and cython that are there.
        flags = ["--no-build-isolation"] if packages[0].startswith("datascope") else []
        command = [str(python), "-m", "pip", "install", "-q", *flags, *packages]
        subprocess.run(command, check=True, timeout=900)
    done.touch()
    return python


class Peers:
    """The other process."""

    def __init__(self, python: Path, folder: Path) -> None:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self.folder = folder
        self.process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name("knn_shapley_peer.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, peer: str, data: Path, points: int, k: int) -> tuple[float, np.ndarray]:
        assert self.process.stdin and self.process.stdout
        values = self.folder / "values.npy"
        asked = {"peer": peer, "data": str(data), "points": points, "k": k, "values": str(values)}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the peers' process ended with {self.process.wait()}")
        return json.loads(line)["seconds"], np.load(values)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)


def timed(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    started = time.process_time()
    values = function()
    return time.process_time() - started, values


def compare(name: str, peers: Peers, folder: Path, rounds: int) -> dict[str, Any]:
    """Time both peers and ours in turns on one size."""
    n, d, points, limits = SIZES[name]
    rng = np.random.default_rng(n)
    X, Z = rng.standard_normal((n, d)), rng.standard_normal((points, d))
    X_side, Z_side = X[:, 0] + rng.standard_normal(n), Z[:, 0] + rng.standard_normal(points)
    y, z = (X_side > 0).astype(np.int64), (Z_side > 0).astype(np.int64)
    data = folder / f"{name}.npz"
    np.savez(data, X=X, y=y, Z=Z, z=z)
    ours: dict[str, Callable[[], np.ndarray]] = {
        "pydvl": lambda: knn_shapley(X, y, Z, z, k=5),
        "datascope": lambda: knn_shapley(X, y, Z, z, k=1),
        "epsilon": lambda: knn_shapley(X, y, Z, z, k=5, epsilon=0.01),
    }
    seconds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in limits}
    values: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for kind in limits:
        ours[kind]()
    peers.ask("datascope", data, 2, 1)
    for _ in range(rounds):
        spent, theirs = peers.ask("pydvl", data, points, 5)
        for kind in ("pydvl", "epsilon"):
            if kind in limits:
                mine, valued = timed(ours[kind])
                seconds[kind].append((spent, mine))
                values[kind] = theirs, valued
        spent, theirs = peers.ask("datascope", data, points, 1)
        mine, valued = timed(ours["datascope"])
        seconds["datascope"].append((spent, mine))
        values["datascope"] = theirs, valued
    result: dict[str, Any] = {"rows": n, "features": d, "development_rows": points}
    for kind, pairs in seconds.items():
        ratio = float(np.median([theirs / mine for theirs, mine in pairs]))
        theirs, mine = values[kind]
        result[kind] = {
            "ms_theirs": round(float(np.median([p[0] for p in pairs])) * 1000 / points, 3),
            "ms_ours": round(float(np.median([p[1] for p in pairs])) * 1000 / points, 3),
            "times_faster": round(ratio, 1),
            "limit": limits[kind],
            "largest_difference": float(f"{np.abs(shifted(theirs, mine, kind) - mine).max():.3g}"),
        }
    if "epsilon" in result:
        exact = values["pydvl"][1]
        near = values["epsilon"][1]
        result["epsilon"] |= {
            "approximation": "error below against exact values",
            "root_mean_square_error": float(f"{np.sqrt(np.mean((near - exact) ** 2)):.3g}"),
            "correlation": round(float(np.corrcoef(near, exact)[0, 1]), 4),
        }
    return result


def shifted(theirs: np.ndarray, mine: np.ndarray, kind: str) -> np.ndarray:
    """Give no rows the same worth: datascope says that of the worst constant class."""
    if kind != "datascope":
        return theirs
    return theirs + (mine.sum() - theirs.sum()) / len(mine)


def sellers() -> dict[str, Any]:
    """Time the exact game of 50 sellers."""
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((10_000, 16)), rng.standard_normal((500, 16))
    y, z = rng.integers(0, 2, 10_000), rng.integers(0, 2, 500)
    owners = rng.integers(0, 50, 10_000)
    seller_shapley(X[:60], y[:60], np.arange(60) % 3, Z[:2], z[:2], k=5)
    spent, values = timed(lambda: seller_shapley(X, y, owners, Z, z, k=5))
    rows = knn_shapley(X, y, Z, z, k=5)
    return {
        "sellers": 50,
        "development_rows": 500,
        "k": 5,
        "cpu_seconds": round(spent, 3),
        "limit_seconds": 5.0,
        "sum_less_that_of_rows": float(f"{values.sum() - rows.sum():.3g}"),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--peers", type=Path, help="where the peers' environment is, or is made")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="20,000 rows only")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        asked = Peers(peers_python(given.peers or Path(temporary)), Path(temporary))
        try:
            report: dict[str, Any] = {
                name: compare(name, asked, Path(temporary), given.rounds)
                for name in (("20k",) if given.small else SIZES)
            }
        finally:
            asked.close()
        report["sellers"] = sellers()
    if given.json:
        print(json.dumps(report, indent=1))
    else:
        for name, part in report.items():
            print(name)
            for key, value in part.items():
                print(f"  {key:22s} {value}")
