"""Eras as CIGate's state holds them: one stable test set each, its queue and its verdicts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from easeml_ray.gate.adaptivity import leaked_bits, passes_allowed
from easeml_ray.gate.contradictions import contradictions
from easeml_ray.gate.era import ERA, EraState
from easeml_ray.gate.label_messages import SealedLabel, WantTestLabels
from easeml_ray.gate.language import parse
from easeml_ray.gate.messages import EraSealed, Evidence, JudgeModel, OpenEra, ReleaseEra, VerdictGiven
from easeml_ray.gate.meter import OverfittingMeter

__all__ = ["Era", "GatedProject"]


_MOST_EVIDENCE = 300  # verdicts: what more of them rested on would not fit in one message


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
    asked: WantTestLabels | None = None
    evidence: tuple[Evidence | None, ...] = ()
    succeeded: bool = False

    @property
    def number(self) -> int:
        """Its place among the eras of its project, from 1."""
        return self.sealed.era

    @property
    def terms(self) -> OpenEra:
        """What it was opened with."""
        return self.sealed.command

    @property
    def left(self) -> int:
        """Verdicts that may still be given, less those already promised."""
        promised = len(self.queue) + (self.judging is not None)
        return self.terms.steps - len(self.verdicts) - promised

    @property
    def open(self) -> bool:
        """Whether it judges, or will."""
        return self.state in (EraState.SEALED, EraState.ACTIVE)

    @property
    def frozen(self) -> bool:
        """Whether its models were fixed."""
        return self.terms.adaptivity == "none" and self.old is not None

    def room(self, models: int) -> int:
        """Return how many of so many further models it judges."""
        return 0 if self.frozen else min(models, max(self.left, 0))

    def ends(self, passed: bool) -> bool:
        """Tell whether the verdict that is given now is the last one."""
        adaptivity = self.terms.adaptivity
        return (
            len(self.verdicts) + 1 >= self.terms.steps
            # With models fixed beforehand nothing can use the steps that are left.
            or (adaptivity == "none" and not self.queue)
            or self._passes(passed) == passes_allowed(adaptivity)
        )

    def running_out(self, *passed: bool) -> str:
        """Say, after verdicts that are given now, why another test set will soon be needed; empty if not."""
        # Soon is: with the next pass, or with a quarter of the verdicts. Where the models are fixed
        # beforehand all verdicts come at once, and other models only with another search.
        adaptivity, steps = self.terms.adaptivity, self.terms.steps
        allowed, left = passes_allowed(adaptivity), steps - len(self.verdicts) - len(passed)
        if adaptivity == "none" or self.succeeded:
            return ""
        if allowed is not None and allowed - self._passes(*passed) == 1:
            return "the present test set retires at the next model that passes"
        return f"{left} of {steps} verdicts are left" if left <= max(1, steps // 4) else ""

    def _passes(self, *passed: bool) -> int:
        return sum(verdict.command.passed for verdict in self.verdicts) + sum(passed)

    def judge(self, development: float | None) -> JudgeModel:
        """Return the work that judges the model at work."""
        return JudgeModel(
            era=self.sealed,
            model=self.judging or "",
            old=self.old or "",
            development=development,
            known=self.known,
            fresh=self.fresh,
            asked=self.asked,
        )

    def release(self) -> ReleaseEra:
        """Return the work that unseals it."""
        evidence = tuple(verdict.command.sealed_evidence for verdict in self.verdicts[:_MOST_EVIDENCE])
        return ReleaseEra(
            era=self.sealed,
            evidence=evidence if any(evidence) else (),
            known=None if self.terms.labelled else self.known,
            fresh=self.fresh,
        )

    def keep(self, known: str) -> None:
        """Note that labels are kept in a sealed blob: those that came before it was made are in it."""
        if known and known != self.known:
            self.known, self.fresh = known, ()

    def told(self) -> list[tuple[VerdictGiven, Evidence | None]]:
        """Return the verdicts with the evidence that has been let out."""
        late = (*self.evidence, *[None] * len(self.verdicts))
        return [(verdict, verdict.command.evidence or late[i]) for i, verdict in enumerate(self.verdicts)]

    @property
    def bands(self) -> int:
        """Bands of the meter; 1 without one."""
        return len(self.terms.meter) + 1

    @property
    def leaked(self) -> float:
        """Bits that the verdicts so far, with what the meter read, can have given away."""
        return leaked_bits(
            self.terms.adaptivity, verdicts=len(self.verdicts), passes=self._passes(), bands=self.bands
        )

    @property
    def most_bits(self) -> float:
        """Bits that all its verdicts can give away."""
        terms = self.terms
        return leaked_bits(terms.adaptivity, verdicts=terms.steps, passes=0, bands=self.bands)

    def shown(self) -> dict[str, Any]:
        """Return what people may see of it."""
        terms = self.terms
        return {
            "era": self.number,
            "state": self.state.value,
            "condition": terms.condition,
            "reliability": terms.reliability,
            "adaptivity": terms.adaptivity,
            "mode": terms.mode,
            "bound": terms.bound,
            "rows": terms.rows,
            "labelled": terms.labelled,
            "required_rows": self.sealed.required,
            "meter": list(terms.meter),
            "steps": terms.steps,
            "steps_left": terms.steps - len(self.verdicts),
            "leaked_bits": self.leaked,
            "most_bits": self.most_bits,
            "warnings": list(_warnings(terms.condition)),
            "old": self.old,
            "judging": self.judging,
            "waits_for_labels": len(self.asked.rows) if self.asked and not self.fresh else 0,
            "queued": list(self.queue),
            "verdicts": [
                {
                    "model": verdict.command.model,
                    "verdict": "PASS" if verdict.command.passed else "FAIL",
                    "step": verdict.step,
                    "evidence": asdict(evidence) if evidence else None,
                    "reading": self._reading(verdict.command.band),
                }
                for verdict, evidence in self.told()
            ],
        }

    def _reading(self, band: int | None) -> dict[str, Any] | None:
        if band is None:
            return None
        terms = self.terms
        meter = _meter(terms.meter, terms.reliability, terms.steps, terms.adaptivity)
        reading = meter.reading(band, terms.rows)
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
