"""What CIGate's shell gives up on, and what it waits out; no cluster is needed."""

from __future__ import annotations

import pytest

from actors.ci_gate import CIGateActor, gate_key
from actors.config import SystemConfig
from actors.market import MarketActor
from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import BlobMissing, InvalidSpec, ModelFailed, NotReady, StoreError
from easeml_ray.gate.messages import EraSealed, JudgeModel, OpenEra
from easeml_ray.messages import Action
from easeml_ray.sealing import new_private_key


def action() -> Action:
    terms = OpenEra(
        sealed="sealed",
        rows=900,
        schema="schema",
        condition="n > 0.5 +/- 0.2",
        reliability=0.95,
        steps=3,
        adaptivity="none",
        mode="fn-free",
        bound="best",
    )
    body = JudgeModel(era=EraSealed(command=terms, era=1, required=900), model="new", old="old")
    return Action("id", "p", "lab", body, None, 0.0)


@pytest.mark.parametrize("error", [OSError("network"), StoreError("away"), NotReady("no worker")])
def test_a_store_or_a_worker_that_is_away_never_becomes_a_verdict(error: Exception) -> None:
    gate = object.__new__(CIGateActor)
    gate.attempts = {"id": 10_000}
    with pytest.raises(type(error)):
        gate._given_up(action(), error)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(ModelFailed("no", hint="", cause=""), 0), (ConnectionError("killed"), 7), (BlobMissing("gone"), 2)],
)
def test_what_will_not_get_better_is_given_up(error: Exception, attempts: int) -> None:
    gate = object.__new__(CIGateActor)
    gate.attempts = {"id": attempts}
    assert isinstance(gate._given_up(action(), error), WorkRejected)


def test_other_work_is_given_up_after_a_few_attempts() -> None:
    market = object.__new__(MarketActor)
    market.attempts = {"id": 2}
    assert isinstance(market._given_up(action(), OSError("network")), WorkRejected)


def test_the_key_is_that_of_the_environment_if_it_is_there(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SystemConfig.local(tmp_path)  # type: ignore[arg-type]
    key = new_private_key()
    monkeypatch.setenv("EASEML_GATE_KEY", key.hex())
    assert gate_key(config) == key
    assert not config.gate_key_file.exists()
    for wrong in ("no hex", "ab" * 31):
        monkeypatch.setenv("EASEML_GATE_KEY", wrong)
        with pytest.raises(InvalidSpec) as refused:
            gate_key(config)
        assert wrong not in str(refused.value)
    monkeypatch.delenv("EASEML_GATE_KEY")
    assert gate_key(config) == config.gate_key_file.read_bytes()
