"""A real job, through the job server of the session's node: ``ray job submit --working-dir .``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from projects import small_project

pytestmark = pytest.mark.ray

SECONDS = 240.0


def test_a_project_file_runs_as_a_ray_job(cluster: Any, tmp_path: Path) -> None:
    from ray.job_submission import JobStatus, JobSubmissionClient

    known = small_project("submitted")
    (tmp_path / "moons.csv").write_bytes(known.data)
    header, *rows = known.data.decode().splitlines()
    # The truth as the owner of the data would hold it: the same rows, with nothing missing or wrong.
    column = {name.strip('"'): place for place, name in enumerate(header.split(","))}
    true_rows = []
    for row_id, row in enumerate(rows):
        cells = row.split(",")
        cells[column["y"]] = known.labels[row_id]
        for name in ("a", "b", "c"):
            if (row_id, name) in known.cells:
                cells[column[name]] = str(known.cells[row_id, name])
        true_rows.append(",".join(cells))
    (tmp_path / "true.csv").write_text("\n".join([header, *true_rows]))
    spec = {
        "name": "submitted",
        "data": "moons.csv",
        "task": known.task,
        "annotator": "truth",
        "truth": "true.csv",
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))

    client = JobSubmissionClient(cluster.jobs_url)
    job = client.submit_job(
        entrypoint="python -m cluster.job spec.yaml", runtime_env={"working_dir": str(tmp_path)}
    )
    until = time.monotonic() + SECONDS
    while not (status := client.get_job_status(job)).is_terminal():
        assert time.monotonic() < until, client.get_job_logs(job)
        time.sleep(0.5)
    logs = client.get_job_logs(job)
    assert status == JobStatus.SUCCEEDED, logs
    result = json.loads(logs[logs.index("\n{") :])
    assert result["phase"] == "READY"
    assert result["deployed"]
