"""Cleaner's state: proposals, what was learned, and what is not asked again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import Driven, option, version

from easeml_ray.cleaning.messages import (
    AnsweredItem,
    Belief,
    Learn,
    Learned,
    Propose,
    ProposeRepairs,
    ShowCleaning,
    Suggest,
)
from easeml_ray.cleaning.picture import draw
from easeml_ray.cleaning.state import CleaningState
from easeml_ray.errors import InvalidArgument, NotFound, TooLarge
from easeml_ray.messages import MAX_MESSAGE_BYTES, Option, encode

ROWS = 6


@pytest.fixture
def cleaner() -> Iterator[Driven]:
    driven = Driven(CleaningState)
    yield driven
    driven.check_replay()


def belief(noise: float = 0.3) -> Belief:
    return Belief(
        uncertain_rows=ROWS,
        source_noise=noise,
        noise=noise / 2,
        lower=0.7,
        upper=0.9,
        expected=0.8,
        potential=0.85,
        certain_fraction=0.5,
        entropy=12.0,
        default=0.75,
    )


def wanted(number: int = 1) -> Propose:
    return Propose(
        version=version(number),
        accuracy=0.8,
        error=0.2,
        target_accuracy=0.9,
        price_label=10.0,
        price_cell=5.0,
        items=100,
    )


def propose(cleaner: Driven, number: int = 1, *options: Option, noise: float = 0.3) -> ProposeRepairs:
    """Have repairs proposed; return what the work was given."""
    cleaner.tell(wanted(number))
    (work,) = cleaner.due(ProposeRepairs)
    cleaner.report(work, Suggest(number=number, options=options, belief=belief(noise)))
    return work.body


def learned(*answers: tuple[str, str | None]) -> Learn:
    items = (
        AnsweredItem(key=key, value=value, entropy_before=0.9, cost_cents=10.0 if value else 0.0)
        for key, value in answers
    )
    return Learn(kind="RELABEL", items=tuple(items))


def test_a_proposal_carries_what_was_asked_and_is_shown_when_it_comes(cleaner: Driven) -> None:
    body = propose(cleaner, 1, option("RELABEL", 1, [1, 2]))
    assert body.command == wanted()
    assert (body.skipped, body.noise) == ((), None)
    shown = cleaner.ask(ShowCleaning())
    assert [o["id"] for o in shown["options"]] == ["RELABEL:v1"]
    assert shown["belief"]["source_noise"] == 0.3


def test_nothing_is_shown_before_the_first_proposal(cleaner: Driven) -> None:
    with pytest.raises(NotFound):
        cleaner.ask(ShowCleaning())
    cleaner.tell(wanted())
    with pytest.raises(NotFound):
        cleaner.ask(ShowCleaning())


def test_the_curve_has_a_point_a_version_at_the_cells_answered_before_it(cleaner: Driven) -> None:
    propose(cleaner, 1)
    cleaner.tell(learned(("label", "yes")))
    cleaner.tell(
        Learn(
            kind="CLEAN_CELL",
            items=(AnsweredItem(key="cell:train:3:age", value=4.0, entropy_before=1.0, cost_cents=5.0),),
        )
    )
    propose(cleaner, 2)
    propose(cleaner, 2)
    shown = cleaner.ask(ShowCleaning())
    assert [(point["number"], point["cells"]) for point in shown["curve"]] == [(1, 0), (2, 1)]
    assert (shown["curve"][0]["expected"], shown["curve"][0]["default"]) == (0.8, 0.75)
    assert shown["target_accuracy"] == 0.9
    assert draw(shown["curve"], shown["target_accuracy"]).startswith(b"<?xml")


def test_a_version_without_uncertain_rows_is_no_point_of_the_curve(cleaner: Driven) -> None:
    cleaner.tell(wanted())
    (work,) = cleaner.due(ProposeRepairs)
    cleaner.report(
        work,
        Suggest(
            number=1,
            options=(),
            belief=Belief(
                uncertain_rows=0,
                source_noise=0.1,
                noise=0.1,
                lower=None,
                upper=None,
                expected=None,
                potential=None,
                certain_fraction=None,
                entropy=0.0,
            ),
        ),
    )
    assert cleaner.ask(ShowCleaning())["curve"] == []


def test_the_curve_ends_with_the_first_version_that_has_no_uncertain_rows(cleaner: Driven) -> None:
    assert not propose(cleaner, 1).continued
    cleaner.tell(wanted(2))
    (work,) = cleaner.due(ProposeRepairs)
    assert work.body.continued
    cleaner.report(
        work,
        Suggest(
            number=2,
            options=(),
            belief=Belief(
                uncertain_rows=0,
                source_noise=0.1,
                noise=0.1,
                lower=0.8,
                upper=0.8,
                expected=0.8,
                potential=0.8,
                certain_fraction=1.0,
                entropy=0.0,
                default=0.8,
            ),
        ),
    )
    last = cleaner.ask(ShowCleaning())["curve"][-1]
    assert (last["number"], last["lower"], last["upper"], last["certain_fraction"]) == (2, 0.8, 0.8, 1.0)


def test_a_picture_of_nothing_or_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="nothing to draw"):
        draw([])
    point = dict.fromkeys(("lower", "upper", "expected", "potential", "default", "certain_fraction"), 0.5)
    with pytest.raises(InvalidArgument, match="kind 'gif'"):
        draw([{**point, "cells": 0}], kind="gif")  # type: ignore[arg-type]
    assert draw([{**point, "cells": 0}], kind="png").startswith(b"\x89PNG")


def test_the_noise_of_the_first_version_is_handed_on(cleaner: Driven) -> None:
    propose(cleaner, 1, noise=0.4)
    assert propose(cleaner, 2).noise == 0.4


def test_the_ledger_line_counts_what_was_answered_and_not_what_was_skipped(cleaner: Driven) -> None:
    cleaner.tell(learned(("a", "yes"), ("b", None), ("c", "no")))
    (event,) = cleaner.told(Learned)
    assert [item.key for item in event.command.items] == ["a", "b", "c"]
    shown = cleaner.state.projects["p"]
    assert (shown.answered, list(shown.skipped)) == (2, ["b"])
    line = event.ledger
    assert (line.count, line.cost_cents, line.entropy_before) == (2, 20.0, pytest.approx(1.8))


def test_what_was_paid_is_on_the_bill_though_it_came_to_nothing(cleaner: Driven) -> None:
    """One of three annotators answered before the deadline."""
    items = (
        AnsweredItem(key="a", value="yes", entropy_before=0.9, cost_cents=30.0),
        AnsweredItem(key="b", value=None, entropy_before=0.9, cost_cents=10.0),
    )
    cleaner.tell(Learn(kind="RELABEL", items=items))
    line = cleaner.told(Learned)[0].ledger
    assert (line.count, line.cost_cents, line.entropy_before) == (1, 40.0, 0.9)


def test_skipped_items_are_left_out_of_later_proposals(cleaner: Driven) -> None:
    cleaner.tell(learned(("a", None)))
    cleaner.tell(learned(("b", None), ("c", "yes")))
    assert propose(cleaner).skipped == ("a", "b")
    shown = cleaner.ask(ShowCleaning())
    assert (shown["answered"], shown["skipped"]) == (1, 2)


def test_the_newest_skips_are_remembered_as_far_as_a_message_has_room(cleaner: Driven) -> None:
    names = [f"cell:train:{row}:{'column' * 40}" for row in range(900)]
    for start in range(0, 900, 100):
        cleaner.tell(learned(*((name, None) for name in names[start : start + 100])))
    body = propose(cleaner)
    assert len(encode(body)) < MAX_MESSAGE_BYTES
    assert 100 < len(body.skipped) < 200
    assert body.skipped == tuple(names[-len(body.skipped) :])


def test_work_that_failed_is_settled_and_the_old_proposal_stays(cleaner: Driven) -> None:
    propose(cleaner, 1, option("RELABEL", 1, [1]))
    cleaner.tell(wanted(2))
    cleaner.fail(cleaner.due(ProposeRepairs)[0])
    assert not cleaner.state.due()
    assert cleaner.ask(ShowCleaning())["version"] == 1


def test_a_proposal_that_no_message_can_carry_is_settled_as_failed_work(cleaner: Driven) -> None:
    """It would come again and again otherwise: the same work has the same result."""
    cleaner.tell(wanted())
    (work,) = cleaner.due(ProposeRepairs)
    cleaner.report(work, Suggest(number=1, options=(option("RELABEL", 1, range(2000)),), belief=belief()))
    assert not cleaner.state.due()
    rejection = cleaner.store.find(work.id)[0].body
    assert rejection.error["kind"] == TooLarge.__name__
    with pytest.raises(NotFound):
        cleaner.ask(ShowCleaning())


def test_projects_do_not_see_one_another(cleaner: Driven) -> None:
    cleaner.tell(learned(("a", None)))
    cleaner.tell(learned(("b", None)), project="q")
    assert propose(cleaner).skipped == ("a",)


def test_what_is_no_command_or_query_is_a_fault_of_the_caller(cleaner: Driven) -> None:
    with pytest.raises(TypeError, match="no command"):
        cleaner.tell(ShowCleaning())
    with pytest.raises(TypeError, match="no query"):
        cleaner.ask(learned())
