"""The task specification: what a project wants, in one frozen, validated object."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from easeml_ray.errors import ConditionSyntax, InvalidArgument, InvalidSpec

__all__ = ["Budgets", "GateSpec", "Prices", "Shares", "TaskSpec", "parse_task"]


class _Frozen(BaseModel):
    # The log is JSON, which has no infinity: a task with one could be appended but never read again.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Prices(_Frozen):
    """What one unit costs, in cents."""

    label: float = Field(default=10.0, ge=0)
    cell: float = Field(default=5.0, ge=0)
    gpu_second: float = Field(default=0.05, ge=0)
    test_bit: float = Field(default=0.0, ge=0)


class Budgets(_Frozen):
    """What may be spent.

    ``improvement_cents`` bounds cleaning, relabelling and purchases together;
    ``realtime_labels`` bounds the labels that ModelPicker may ask for in one window.
    """

    improvement_cents: float = Field(default=10_000.0, ge=0)
    realtime_labels: int = Field(default=40, ge=0)


class Shares(_Frozen):
    """Shares of the uploaded rows a pillar gets; the realtime pillar is filled by the endpoint."""

    train: float = Field(default=0.6, gt=0, lt=1)
    development: float = Field(default=0.2, gt=0, lt=1)
    stable: float = Field(default=0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Shares:
        if abs(self.train + self.development + self.stable - 1) > 1e-9:
            raise ValueError("train + development + stable must be 1")
        return self


class GateSpec(_Frozen):
    """The CI conditions and the guarantee that a verdict carries.

    ``meter`` holds the edges, in accuracy, between the bands in which every verdict tells how far
    development flatters the model (see :class:`easeml_ray.gate.OverfittingMeter`); empty: no meter.
    """

    condition: str = "n > 0.5 +/- 0.2"
    reliability: float = Field(default=0.95, ge=0.5, lt=1)
    steps: int = Field(default=4, ge=1, le=100_000)
    adaptivity: str = "none"
    mode: Literal["fp-free", "fn-free"] = "fp-free"
    bound: str = "best"
    meter: tuple[float, ...] = ()

    @field_validator("condition")
    @classmethod
    def _parses(cls, text: str) -> str:
        from easeml_ray.gate import parse

        parse(text)
        return text

    @field_validator("bound")
    @classmethod
    def _has_a_proof(cls, text: str) -> str:
        from easeml_ray.gate.bounds import BOUNDS

        if text not in BOUNDS:
            raise ValueError(f"The bound {text!r} is not known. one of {', '.join(BOUNDS)}")
        return text

    @field_validator("adaptivity")
    @classmethod
    def _is_known(cls, text: str) -> str:
        from easeml_ray.gate.adaptivity import passes_allowed

        try:
            passes_allowed(text)
        except InvalidArgument as error:
            raise ValueError(f"{error.message} {error.hint}") from error
        return text

    @model_validator(mode="after")
    def _meter_reads(self) -> GateSpec:
        from easeml_ray.gate import OverfittingMeter

        if self.meter:
            try:
                OverfittingMeter(
                    self.meter, reliability=self.reliability, steps=self.steps, adaptivity=self.adaptivity
                )
            except InvalidArgument as error:
                raise ValueError(f"{error.message} {error.hint}") from error
        return self


class TaskSpec(_Frozen):
    """One application."""

    label: str = Field(min_length=1)  # column that holds the class
    id_column: str | None = None  # column of unique ids
    group_column: str | None = None  # column of the entity whose rows must stay in one pillar
    features: tuple[str, ...] | None = None  # columns to learn from; None: all others
    # share of rows that the deployed model should get right, in (0, 1)
    target_accuracy: float = Field(gt=0, lt=1)
    prices: Prices = Prices()
    budgets: Budgets = Budgets()
    shares: Shares = Shares()
    gate: GateSpec = GateSpec()
    # a model is admitted to the gate only when its development lower bound beats the last one's by this much
    minimum_gain: float = Field(default=0.005, ge=0, lt=1)
    gates_a_day: int = Field(default=16, ge=1)  # at most so many admissions in 24 hours
    # when the interval straddles the target: ask a person, improve the data, or train anyway; it is logged
    when_undecided: Literal["ask", "improve", "train"] = "ask"
    # at most so many requests in one round of cleaning or relabelling
    batch_items: int = Field(default=100, ge=1, le=150)
    window_rows: int = Field(default=64, ge=8, le=100_000)  # realtime rows a window holds
    sample_rate: float = Field(default=1.0, ge=0, le=1)  # share of served rows that enter windows
    answers_per_item: int = Field(default=1, ge=1, le=9)  # how many different annotators answer one request
    request_hours: float = Field(default=72.0, gt=0)  # hours until an unanswered request expires
    seed: int = 0


def parse_task(value: dict[str, Any]) -> TaskSpec:
    """Validate a specification given as plain values."""
    # InvalidSpec names the field and what it must be; ConditionSyntax is of a CI condition.
    try:
        return TaskSpec.model_validate(value)
    except ConditionSyntax:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "task"
        given = first.get("input")
        shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
        raise InvalidSpec(
            f"task field {field!r}: {first['msg']}{shown}",
            hint="Correct the field; `easeml status NAME --json` of another project shows a whole task.",
            field=field,
        ) from error
