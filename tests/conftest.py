"""What all tests share: no writing into HOME, and one Ray cluster for those that need it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

# Test modules are imported by path; what they share stands beside this file.
sys.path.insert(0, str(Path(__file__).parent))

_home = tempfile.mkdtemp(prefix="easeml-home-")
os.environ["HOME"] = _home
os.environ.setdefault("OMP_NUM_THREADS", "1")
for name in ("EASEML_STATE", "EASEML_URL", "EASEML_TOKEN", "EASEML_STORE", "EASEML_BLOBS", "EASEML_PORT"):
    os.environ.pop(name, None)
