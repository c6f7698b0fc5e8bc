"""Both applications through a real Serve proxy: a person's whole way, from upload to answers."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from projects import SmallProject, small_project

from easeml_ray import Client
from easeml_ray.errors import NoModel, Unauthenticated

pytestmark = pytest.mark.ray

SECONDS = 180.0


@pytest.fixture(scope="module")
def served(cluster: Any) -> Any:
    """Return (client of a tenant, what is known, the project once windows are decided)."""
    known = small_project("moons")
    admin = Client(cluster.url, cluster.token)
    made = admin.create_tenant("lab")
    client = Client(cluster.url, made["token"])
    client.create_project("moons", known.task)
    client.upload("moons", known.data, format="csv")
    with pytest.raises(NoModel):
        client.predict("moons", known.stream[:1])
    project = carry(client, known)
    return client, known, project


def carry(client: Client, known: SmallProject) -> dict[str, Any]:
    """Answer what is asked, and send the stream once a model answers."""
    until, sent = time.monotonic() + SECONDS, 0
    while time.monotonic() < until:
        project = client.project("moons")
        asked = client.requests("moons", state="OPEN", limit=200, rows=True)
        if asked:
            client.answer("moons", {r["id"]: known.answer(r) for r in asked})
        elif project["deployed"] and not project["training"] and sent < 3:
            try:
                client.predict("moons", known.stream[sent * 40 : sent * 40 + 40])
                sent += 1
            except NoModel:
                pass  # deployed a moment ago: the replica is about to hear of it
        windows = client.pool("moons")["windows"]
        if sum(window["state"] == "RELEASED" for window in windows) >= 2:
            return project
        time.sleep(0.1)
    raise AssertionError(project)


def test_the_endpoint_answers_with_label_probabilities_model_and_data_version(served: Any) -> None:
    client, known, project = served
    answer = client.predict("moons", known.stream[:20])
    assert len(answer["labels"]) == len(answer["request_ids"]) == 20
    for probabilities in answer["probabilities"]:
        assert set(probabilities) == {"0", "1"}
        assert sum(probabilities.values()) == pytest.approx(1)
    right = sum(a == b for a, b in zip(answer["labels"], known.stream_labels, strict=False))
    assert right >= 16
    assert answer["data_version"] == project["version"]
    assert answer["model_version"] >= 1


def test_the_open_inference_protocol_answers_beside_it(served: Any, cluster: Any) -> None:
    client, known, _ = served
    with httpx.Client(base_url=cluster.url) as http:
        assert http.get("/v2/health/live").status_code == 200
        assert http.get("/v2/docs").status_code == 200
        assert http.get("/docs").status_code == 200
        refused = http.get("/v2/models/moons")
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"
    names = ["a", "b", "c"]
    inputs = [
        {"name": name, "shape": [2], "datatype": "FP64", "data": [row[name] for row in known.stream[:2]]}
        for name in names
    ]
    outputs = client.infer("moons", {"inputs": inputs})["outputs"]
    labels = next(output for output in outputs if output["datatype"] == "BYTES")
    assert len(labels["data"]) == 2


def test_a_feedback_is_taken_for_a_served_row(served: Any) -> None:
    client, known, _ = served
    answer = client.predict("moons", known.stream[:1])
    (request_id,) = answer["request_ids"]
    assert client.feedback("moons", request_id, known.stream_labels[0])


def test_an_unknown_token_is_refused(cluster: Any) -> None:
    with Client(cluster.url, "nobody.knows") as stranger, pytest.raises(Unauthenticated):
        stranger.projects()


def test_an_upload_of_many_megabytes_passes_the_proxy(cluster: Any) -> None:
    """Wide enough to be 12 MB; refused for its labels, not for its size."""
    from easeml_ray.errors import OneClass

    with Client(cluster.url, cluster.token) as admin:
        admin.create_project("big", {"label": "y", "target_accuracy": 0.9})
        rows = "\n".join(f"{i},{'x' * 110},a" for i in range(100_000))
        with pytest.raises(OneClass):
            admin.upload("big", f"id,text,y\n{rows}".encode(), format="csv")
