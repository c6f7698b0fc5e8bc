"""The model machine: one model from its training to its retirement."""

from __future__ import annotations

from enum import StrEnum

from easeml_ray.component.machine import Machine

__all__ = ["MODEL", "ModelEvent", "ModelState"]


class ModelState(StrEnum):
    """Where a model stands."""

    TRAINED = "TRAINED"
    ADMITTED = "ADMITTED"
    GATING = "GATING"
    PASSED = "PASSED"
    FAILED = "FAILED"
    CANDIDATE = "CANDIDATE"
    DEPLOYED = "DEPLOYED"
    RETIRED = "RETIRED"


class ModelEvent(StrEnum):
    """What moves a model."""

    ADMIT = "admitted to the gate"
    GATE = "gate started"
    PASS = "passed"
    FAIL = "failed"
    ENROL = "enrolled as a candidate"
    DEPLOY = "deployed"
    REPLACE = "replaced"
    RETIRE = "retired"


_S, _E = ModelState, ModelEvent

MODEL: Machine[ModelState, ModelEvent] = Machine(
    "model",
    ModelState.TRAINED,
    {
        (_S.TRAINED, _E.ADMIT): _S.ADMITTED,
        (_S.TRAINED, _E.RETIRE): _S.RETIRED,
        (_S.ADMITTED, _E.GATE): _S.GATING,
        (_S.GATING, _E.PASS): _S.PASSED,
        (_S.GATING, _E.FAIL): _S.FAILED,
        (_S.PASSED, _E.ENROL): _S.CANDIDATE,
        (_S.CANDIDATE, _E.DEPLOY): _S.DEPLOYED,
        (_S.DEPLOYED, _E.REPLACE): _S.CANDIDATE,
        (_S.CANDIDATE, _E.RETIRE): _S.RETIRED,
        (_S.DEPLOYED, _E.RETIRE): _S.RETIRED,
    },
)
