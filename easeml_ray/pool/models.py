"""The stream of models as ModelPool's state holds it: who goes to the gate, and what is deployed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from easeml_ray.errors import Conflict, NotFound
from easeml_ray.pool.messages import AddModel, BatchAdmitted, CloseIntake, Deployed, IntakeClosed, ModelMoved
from easeml_ray.pool.model import MODEL, ModelEvent, ModelState

__all__ = ["Models"]

_DAY = 24 * 3600.0  # seconds
_MOST_CANDIDATES = 64  # of a window: they travel in one message


@dataclass
class _Model:
    added: AddModel
    state: ModelState = MODEL.initial


@dataclass
class Models:
    """The models of one project, in the order in which they came.

    closed : versions whose intake is closed; admitted : (time, development lower bound) of
    admissions, in order.
    """

    known: dict[str, _Model] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    admitted: list[tuple[float, float]] = field(default_factory=list)
    deployed: Deployed | None = None

    # -- what is decided ------------------------------------------------------------------

    def move(self, model: str, event: ModelEvent) -> ModelMoved:
        """Return the move of a model that is known."""
        known = self.known.get(model)
        if known is None:
            raise NotFound(
                f"no model {model[:12]} in the pool",
                hint="easeml models lists them.",
                what="model",
                name=model,
            )
        return _moved(model, known.state, event)

    def add(self, body: AddModel, now: float) -> tuple[Any, ...]:
        """Return what follows from a new model, beside its being added."""
        if body.model in self.known:
            raise Conflict(
                f"model {body.model[:12]} is in the pool already",
                hint="A model is added once; the same bytes are the same model.",
            )
        if body.floor:
            return ()
        if body.version not in self.closed:
            if not body.immediate:
                return ()
            bar = self.admitted[-1][1] + body.minimum_gain if self.admitted else 0.0
            if body.development_lower > bar and self._room(now, body.gates_a_day) > 0:
                admitted = _moved(body.model, MODEL.initial, ModelEvent.ADMIT)
                return admitted, BatchAdmitted(models=(body.model,), version=body.version)
        # Nothing comes back to it: its version is closed, or the bar only rises.
        return (_moved(body.model, MODEL.initial, ModelEvent.RETIRE),)

    def close_intake(self, body: CloseIntake, now: float) -> tuple[tuple[Any, ...], list[str]]:
        """Admit the best chain of models in which each beats the one before by the minimum gain."""
        # Arms finish in any order, so the rule is applied to the version's models from the lowest bound up:
        # the admitted ones are the best `steps` of that chain, and the outcome does not depend on which
        # worker was faster.
        fresh = [
            model.added
            for model in self.known.values()
            if model.state is ModelState.TRAINED
            and not model.added.floor
            and model.added.version == body.version
        ]
        fresh.sort(key=lambda m: (m.development_lower, m.arm))
        bar = self.admitted[-1][1] if self.admitted else -1.0
        chain: list[AddModel] = []
        for model in reversed(fresh):  # the best first, so that the best is always in
            above = chain[-1].development_lower if chain else math.inf
            if (
                model.development_accuracy >= body.least
                and model.development_lower > bar + body.minimum_gain
                and model.development_lower <= above - body.minimum_gain
            ):
                chain.append(model)
        room = min(body.steps, self._room(now, body.gates_a_day))
        chosen = [model.model for model in reversed(chain[: max(room, 0)])]
        events: list[Any] = [self.move(model, ModelEvent.ADMIT) for model in chosen]
        taken = set(chosen)
        events += [self.move(m.model, ModelEvent.RETIRE) for m in fresh if m.model not in taken]
        events.append(IntakeClosed(command=body))
        if chosen:
            events.append(BatchAdmitted(models=tuple(chosen), version=body.version))
        return tuple(events), chosen

    def take_into_gate(self, models: tuple[str, ...]) -> tuple[ModelMoved, ...]:
        """Move models into the gate, but for those that are there."""
        # Those whose era ended before their turn come to the next one's gate again.
        fresh = [m for m in models if m not in self.known or self.known[m].state is not ModelState.GATING]
        return tuple(self.move(model, ModelEvent.GATE) for model in fresh or models)

    def better(self, model: str) -> bool:
        """Tell whether a model is above the deployed one on development."""
        deployed = self.deployed
        bar = self.known[deployed.model].added.development_lower if deployed else -math.inf
        return self.known[model].added.development_lower > bar

    def deploy(self, model: str, because: str) -> tuple[Any, ...]:
        """Let a candidate answer in the place of the deployed model."""
        before, added = self.deployed, self.known[model].added
        replaced = (self.move(before.model, ModelEvent.REPLACE),) if before else ()
        moved = _moved(model, ModelState.CANDIDATE, ModelEvent.DEPLOY)
        deployed = Deployed(
            model=model,
            arm=added.arm,
            version=added.version,
            deployment=(before.deployment if before else 0) + 1,
            because=because,
        )
        return *replaced, moved, deployed

    def candidates(self) -> tuple[str, ...]:
        """Return the deployed model and the best others that passed, in order of training."""
        passed = [m.added for m in self.known.values() if m.state is ModelState.CANDIDATE]
        passed.sort(key=lambda added: -added.development_lower)
        chosen = {added.model for added in passed[: _MOST_CANDIDATES - 1]}
        return tuple(
            name for name, model in self.known.items() if name in chosen or model.state is ModelState.DEPLOYED
        )

    def _room(self, now: float, gates_a_day: int) -> int:
        return gates_a_day - sum(1 for at, _ in self.admitted if at > now - _DAY)

    # -- what is taken in -----------------------------------------------------------------

    def added(self, added: AddModel) -> None:
        """Take in a model."""
        self.known[added.model] = _Model(added)

    def moved(self, model: str, event: ModelEvent, at: float) -> None:
        """Take in the move of a model, made at so many seconds since 1970."""
        known = self.known[model]
        known.state = MODEL.next(known.state, event, instance=model[:12])
        if event is ModelEvent.ADMIT:
            self.admitted.append((at, known.added.development_lower))

    # -- what is shown --------------------------------------------------------------------

    def shown(self) -> list[dict[str, Any]]:
        """Return what people may see of each model."""
        return [
            {
                "model": model.added.model,
                "arm": model.added.arm,
                "version": model.added.version,
                "floor": model.added.floor,
                "development_accuracy": model.added.development_accuracy,
                "development_lower": model.added.development_lower,
                "state": model.state.value,
            }
            for model in self.known.values()
        ]

    def validate(self) -> None:
        """Check that just the deployed model is in the state DEPLOYED."""
        live = [name for name, model in self.known.items() if model.state is ModelState.DEPLOYED]
        assert live == ([self.deployed.model] if self.deployed else [])


def _moved(model: str, state: ModelState, event: ModelEvent) -> ModelMoved:
    after = MODEL.next(state, event, instance=model[:12])
    return ModelMoved(model=model, event=event.value, state=after.value)
