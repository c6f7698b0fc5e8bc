"""Eras as CIGate's state holds them: one stable test set each, its queue and its verdicts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from easeml_ray.gate.adaptivity import leaked_bits, passes_allowed
from easeml_ray.gate.contradictions import contradictions
from easeml_ray.gate.era import ERA, EraState
from easeml_ray.gate.label_messages import SealedLabel, TestLabelsWanted
from easeml_ray.gate.language import parse
from easeml_ray.gate.messages import EraSealed, Evidence, JudgeModel, VerdictGiven
from easeml_ray.gate.meter import OverfittingMeter

__all__ = ["Era", "GatedProject"]


@dataclass
class Era:
    """One stable test set.

    old : the model that ``o`` stands for, set once; queue : models that wait; judging : the
    model at work; verdicts : in order; known, fresh : labels of a set that came without, in a
    sealed blob and beside it; asked : what was last wanted of people for the model at work;
    evidence : of each verdict, let out when the era was released; succeeded : whether another set
    was asked for.
    """

    sealed: EraSealed
    state: EraState = ERA.initial
    old: str | None = None
    queue: list[str] = field(default_factory=list)
    judging: str | None = None
    verdicts: list[VerdictGiven] = field(default_factory=list)
    released: str | None = None
    known: str = ""
    fresh: tuple[SealedLabel, ...] = ()
    asked: TestLabelsWanted | None = None
    evidence: tuple[Evidence | None, ...] = ()
    succeeded: bool = False

    @property
    def left(self) -> int:
        """Verdicts that may still be given, less those already promised."""
        promised = len(self.queue) + (self.judging is not None)
        return self.sealed.steps - len(self.verdicts) - promised

    @property
    def open(self) -> bool:
        """Whether it judges, or will."""
        return self.state in (EraState.SEALED, EraState.ACTIVE)

    @property
    def frozen(self) -> bool:
        """Whether its models were fixed."""
        return self.sealed.adaptivity == "none" and self.old is not None

    def room(self, models: int) -> int:
        """Return how many of so many further models it judges."""
        return 0 if self.frozen else min(models, max(self.left, 0))

    def ends(self, passed: bool) -> bool:
        """Tell whether the verdict that is given now is the last one."""
        adaptivity = self.sealed.adaptivity
        return (
            len(self.verdicts) + 1 >= self.sealed.steps
            # With models fixed beforehand nothing can use the steps that are left.
            or (adaptivity == "none" and not self.queue)
            or self._passes(passed) == passes_allowed(adaptivity)
        )

    def running_out(self, *passed: bool) -> str:
        """Say, after verdicts that are given now, why another test set will soon be needed; empty if not.

        Soon is: with the next pass, or with a quarter of the verdicts. Where the models are fixed beforehand
        all verdicts come at once, and other models only with another search.
        """
        adaptivity, steps = self.sealed.adaptivity, self.sealed.steps
        allowed, left = passes_allowed(adaptivity), steps - len(self.verdicts) - len(passed)
        if adaptivity == "none" or self.succeeded:
            return ""
        if allowed is not None and allowed - self._passes(*passed) == 1:
            return "the present test set retires at the next model that passes"
        return f"{left} of {steps} verdicts are left" if left <= max(1, steps // 4) else ""

    def _passes(self, *passed: bool) -> int:
        return sum(verdict.passed for verdict in self.verdicts) + sum(passed)

    def judge(self, development: float | None) -> JudgeModel:
        """Return the work that judges the model at work."""
        sealed, asked = self.sealed, self.asked
        return JudgeModel(
            era=sealed.era,
            sealed=sealed.sealed,
            schema=sealed.schema,
            model=self.judging or "",
            old=self.old or "",
            condition=sealed.condition,
            mode=sealed.mode,
            adaptivity=sealed.adaptivity,
            reliability=sealed.reliability,
            steps=sealed.steps,
            labelled=sealed.labelled,
            known=self.known,
            fresh=self.fresh,
            meter=sealed.meter,
            development=development,
            answers=asked.answers if asked else "",
            latency_ms=asked.latency_ms if asked else None,
            asked=asked.table if asked else "",
        )

    def keep(self, known: str) -> None:
        """Note that labels are kept in a sealed blob: those that came before it was made are in it."""
        if known and known != self.known:
            self.known, self.fresh = known, ()

    def told(self) -> list[tuple[VerdictGiven, Evidence | None]]:
        """Return the verdicts with the evidence that has been let out."""
        late = (*self.evidence, *[None] * len(self.verdicts))
        return [(verdict, verdict.evidence or late[i]) for i, verdict in enumerate(self.verdicts)]

    @property
    def bands(self) -> int:
        """Bands of the meter; 1 without one."""
        return len(self.sealed.meter) + 1

    @property
    def leaked(self) -> float:
        """Bits that the verdicts so far, with what the meter read, can have given away."""
        return leaked_bits(
            self.sealed.adaptivity, verdicts=len(self.verdicts), passes=self._passes(), bands=self.bands
        )

    @property
    def most_bits(self) -> float:
        """Bits that all its verdicts can give away."""
        sealed = self.sealed
        return leaked_bits(sealed.adaptivity, verdicts=sealed.steps, passes=0, bands=self.bands)

    def shown(self) -> dict[str, Any]:
        """Return what people may see of it."""
        sealed = self.sealed
        return {
            "era": sealed.era,
            "state": self.state.value,
            "condition": sealed.condition,
            "reliability": sealed.reliability,
            "adaptivity": sealed.adaptivity,
            "mode": sealed.mode,
            "bound": sealed.bound,
            "rows": sealed.rows,
            "labelled": sealed.labelled,
            "required_rows": sealed.required,
            "meter": list(sealed.meter),
            "steps": sealed.steps,
            "steps_left": sealed.steps - len(self.verdicts),
            "leaked_bits": self.leaked,
            "most_bits": self.most_bits,
            "warnings": list(_warnings(sealed.condition)),
            "old": self.old,
            "judging": self.judging,
            "waits_for_labels": len(self.asked.rows) if self.asked and not self.fresh else 0,
            "queued": list(self.queue),
            "verdicts": [
                {
                    "model": verdict.model,
                    "verdict": "PASS" if verdict.passed else "FAIL",
                    "step": verdict.step,
                    "evidence": asdict(evidence) if evidence else None,
                    "reading": self._reading(verdict.band),
                }
                for verdict, evidence in self.told()
            ],
        }

    def _reading(self, band: int | None) -> dict[str, Any] | None:
        if band is None:
            return None
        sealed = self.sealed
        terms = (sealed.meter, sealed.reliability, sealed.steps, sealed.adaptivity)
        reading = _meter(*terms).reading(band, sealed.rows)
        return {
            "band": band,
            "lower": None if reading.lower is None else float(reading.lower),
            "upper": None if reading.upper is None else float(reading.upper),
            "tolerance": float(reading.tolerance),
            "points": reading.band_in_points,
        }


@dataclass
class GatedProject:
    """One project: its eras, models that wait without one (model, old), and their development accuracy."""

    eras: list[Era] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)
    development: dict[str, float] = field(default_factory=dict)

    @property
    def current(self) -> Era | None:
        """The era that is open."""
        return self.eras[-1] if self.eras and self.eras[-1].open else None


@lru_cache(maxsize=256)
def _warnings(condition: str) -> tuple[str, ...]:
    return tuple(contradictions(parse(condition)))


@lru_cache(maxsize=64)
def _meter(edges: tuple[float, ...], reliability: float, steps: int, adaptivity: str) -> OverfittingMeter:
    return OverfittingMeter(edges, reliability=reliability, steps=steps, adaptivity=adaptivity)
