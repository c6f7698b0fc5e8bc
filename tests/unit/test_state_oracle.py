"""LabelOracle's queue: requests, leases, answers, deadlines, and what it all costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from harness import HOUR, Driven, asked, key

from easeml_ray.errors import Conflict, InvalidAnswer, NotFound, RequestClosed, TooLarge
from easeml_ray.messages import Gain
from easeml_ray.oracle.messages import (
    Answer,
    Answered,
    AnswerRequests,
    Close,
    Expire,
    Expired,
    Kind,
    Lease,
    ListRequests,
    OpenRequests,
    ReleaseLeases,
    Skip,
    Skipped,
    Volunteer,
)
from easeml_ray.oracle.state import OracleState


@pytest.fixture
def oracle() -> Iterator[Driven]:
    driven = Driven(OracleState)
    yield driven
    driven.check_replay()


def wanted(
    oracle: Driven,
    keys: str = "abc",
    *,
    batch: str = "b",
    kind: Kind = Kind.RELABEL,
    each: float = 2.0,
    answer: str = "",
    choices: tuple[str, ...] = ("no", "yes"),
    answers: int = 1,
    gain: float | None = None,
) -> OpenRequests:
    items = tuple(asked(name, answer, cents=each) for name in keys)
    worth = None if gain is None else Gain(gain, 0.0, 1.0)
    deadline = oracle.now + 10 * HOUR
    return OpenRequests(
        kind=kind,
        batch=batch,
        asker="process",
        title="?",
        items=items,
        choices=choices,
        gain=worth,
        deadline=deadline,
        answers_per_item=answers,
    )


def given(*pairs: tuple[int, Any], by: str = "ann") -> AnswerRequests:
    return AnswerRequests(
        annotator=by, answers=tuple(Answer(request=number, value=value) for number, value in pairs)
    )


def states(oracle: Driven) -> dict[int, str]:
    found = oracle.ask(ListRequests(limit=1000))["requests"]
    return {request["id"]: request["state"] for request in reversed(found)}


def money(oracle: Driven) -> tuple[float, float]:
    shown = oracle.ask(ListRequests())
    return shown["spent_cents"], shown["reserved_cents"]


def request(oracle: Driven, number: int) -> dict[str, Any]:
    (found,) = oracle.ask(ListRequests(ids=(number,)))["requests"]
    return found


# -- asking and answering ---------------------------------------------------------------------


def test_ids_count_up_over_batches_and_projects_have_their_own(oracle: Driven) -> None:
    assert oracle.tell(wanted(oracle)) == {"first": 1, "count": 3}
    assert oracle.tell(wanted(oracle, "de", batch="c")) == {"first": 4, "count": 2}
    assert oracle.tell(wanted(oracle), project="q") == {"first": 1, "count": 3}
    assert states(oracle) == dict.fromkeys(range(1, 6), "OPEN")


def test_an_answer_closes_its_request_and_moves_money_from_reserved_to_spent(oracle: Driven) -> None:
    oracle.tell(wanted(oracle))
    assert money(oracle) == (0, 6)
    assert oracle.tell(given((2, "yes"))) == {"answered": 1, "closed": 1}
    assert states(oracle) == {1: "OPEN", 2: "ANSWERED", 3: "OPEN"}
    assert request(oracle, 2)["value"] == "yes"
    assert money(oracle) == (2, 4)
    (event,) = oracle.told(Answered)
    assert event.closed == (Answer(request=2, value="yes"),)


def test_answers_are_taken_all_or_none(oracle: Driven) -> None:
    oracle.tell(wanted(oracle))
    oracle.refused(InvalidAnswer, given((1, "yes"), (2, "perhaps")))
    assert states(oracle)[1] == "OPEN"


def test_what_is_not_there_or_closed_is_refused(oracle: Driven) -> None:
    oracle.tell(wanted(oracle))
    error = oracle.refused(NotFound, given((9, "yes")))
    assert (error.what, error.name) == ("request", "9")
    oracle.tell(given((1, "yes")))
    closed = oracle.refused(RequestClosed, given((1, "no"), by="bob"))
    assert (closed.request, closed.state) == ("1", "ANSWERED")
    oracle.refused(RequestClosed, Skip(annotator="bob", requests=(1,)))
    oracle.refused(NotFound, Skip(annotator="bob", requests=(9,)))
    oracle.refused(NotFound, given((1, "yes")), project="unknown")


@pytest.mark.parametrize(
    ("form", "choices", "value", "kept"),
    [
        ("", ("1", "2"), 1, "1"),
        ("number", (), "12.5", 12.5),
        ("number", (), True, 1.0),
        ("text", (), 12.5, "12.5"),
        ("decision", (), " Train ", "train"),
        ("decision", (), 0.8, "0.8"),
        ("", (), "free", "free"),
    ],
)
def test_an_answer_is_kept_in_the_form_that_was_asked_for(
    oracle: Driven, form: str, choices: tuple[str, ...], value: Any, kept: Any
) -> None:
    oracle.tell(wanted(oracle, "a", answer=form, choices=choices))
    oracle.tell(given((1, value)))
    found = request(oracle, 1)["value"]
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("form", "choices", "value"),
    [
        ("", ("1", "2"), 3),
        ("number", (), "many"),
        ("number", (), float("inf")),
        pytest.param("number", (), 10**400, id="a number without end"),
        ("decision", (), "1.5"),
        ("decision", (), "nan"),
        ("decision", (), "stop"),
    ],
)
def test_an_answer_in_another_form_is_refused(
    oracle: Driven, form: str, choices: tuple[str, ...], value: Any
) -> None:
    oracle.tell(wanted(oracle, "a", answer=form, choices=choices))
    assert oracle.refused(InvalidAnswer, given((1, value))).request == "1"


def test_all_answers_of_a_batch_fit_into_the_one_message_that_follows_from_them(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "abcdefgh", answer="text", choices=()))
    oracle.refused(InvalidAnswer, given((1, "x" * 4000)))
    oracle.tell(given(*((number, "x" * 3000) for number in range(1, 9))))
    # Alone it may be longer.
    oracle.tell(wanted(oracle, "i", batch="c", answer="text", choices=()))
    oracle.tell(given((9, "x" * 20_000)))


def test_a_round_of_requests_too_large_for_a_message_is_refused_before_anything_is_written(
    oracle: Driven,
) -> None:
    body = replace(wanted(oracle, "abc"), choices=("x" * 70_000,))
    assert oracle.refused(TooLarge, body).limit == 64 * 1024


# -- several annotators -----------------------------------------------------------------------


def test_several_answers_give_the_majority_and_ties_the_earlier(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "ab", answers=3))
    for who, value in (("ann", "no"), ("bob", "yes")):
        assert oracle.tell(given((1, value), by=who))["closed"] == 0
        assert states(oracle)[1] == "OPEN"
    oracle.tell(given((1, "yes"), by="cid"))
    assert request(oracle, 1)["value"] == "yes"
    oracle.tell(wanted(oracle, "c", batch="c", answers=2))
    oracle.tell(given((3, "yes")))
    oracle.tell(given((3, "no"), by="bob"))
    assert request(oracle, 3)["value"] == "yes"
    # Two of the first batch at three answers of 2 cents, one of the second at two.
    assert money(oracle) == (5 * 2, 3 * 2)


def test_the_same_annotator_never_answers_the_same_item_twice(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "ab", answers=2))
    oracle.tell(given((1, "yes")))
    oracle.refused(Conflict, given((1, "no")))
    oracle.refused(Conflict, given((2, "no"), (2, "no")))
    # … nor is it leased to them again.
    assert oracle.tell(Lease(annotator="ann", kinds=(), limit=10, seconds=60))["requests"] == [2]
    assert oracle.tell(Lease(annotator="bob", kinds=(), limit=10, seconds=60))["requests"] == [1]


# -- leases -----------------------------------------------------------------------------------


def test_a_lease_keeps_others_out_until_it_ends_by_the_clock(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "ab"))
    assert oracle.tell(Lease(annotator="ann", kinds=(), limit=1, seconds=60)) == {
        "requests": [1],
        "until": oracle.now + 60,
    }
    oracle.refused(Conflict, given((1, "yes"), by="bob"))
    oracle.refused(Conflict, Skip(annotator="bob", requests=(1,)))
    assert oracle.tell(Lease(annotator="bob", kinds=(), limit=10, seconds=60))["requests"] == [2]
    (release,) = [a for a in oracle.due(ReleaseLeases) if a.body.requests == (1,)]
    assert (release.at, release.to) == (oracle.now + 60, "oracle")
    oracle.pass_time(59)
    assert states(oracle) == {1: "LEASED", 2: "LEASED"}
    oracle.pass_time(1)
    assert states(oracle) == {1: "OPEN", 2: "OPEN"}
    oracle.tell(given((1, "yes"), by="bob"))


def test_the_end_of_an_old_lease_leaves_a_newer_one_alone(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "a", answers=2))
    oracle.tell(Lease(annotator="ann", kinds=(), limit=1, seconds=60))
    oracle.tell(given((1, "yes")))
    oracle.tell(Lease(annotator="bob", kinds=(), limit=1, seconds=600))
    oracle.pass_time(60)
    assert request(oracle, 1)["leased_to"] == "bob"
    oracle.pass_time(540)
    assert states(oracle) == {1: "OPEN"}


def test_a_leased_request_that_was_answered_is_not_opened_again(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "a"))
    oracle.tell(Lease(annotator="ann", kinds=(), limit=1, seconds=60))
    oracle.tell(given((1, "yes")))
    oracle.pass_time(61)
    assert states(oracle) == {1: "ANSWERED"}
    assert not oracle.due(ReleaseLeases)


def test_the_most_valuable_requests_of_the_wanted_kinds_are_leased_first(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "ab", batch="small", gain=0.01))
    oracle.tell(wanted(oracle, "cd", batch="large", gain=0.2, kind=Kind.CLEAN_CELL))
    oracle.tell(wanted(oracle, "e", batch="unknown", kind=Kind.OVERRIDE_TARGET))
    assert oracle.tell(Lease(annotator="ann", kinds=(), limit=3, seconds=60))["requests"] == [3, 4, 1]
    assert oracle.tell(Lease(annotator="bob", kinds=(Kind.OVERRIDE_TARGET,), limit=3, seconds=60))[
        "requests"
    ] == [5]
    assert (
        oracle.tell(Lease(annotator="cid", kinds=(Kind.CLEAN_CELL,), limit=3, seconds=60))["requests"] == []
    )


# -- ends without an answer -------------------------------------------------------------------


def test_a_skip_closes_without_a_value_and_gives_the_money_back(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "ab"))
    assert oracle.tell(Skip(annotator="ann", requests=(1, 1))) == {"skipped": 1}
    assert states(oracle) == {1: "SKIPPED", 2: "OPEN"}
    assert money(oracle) == (0, 2)
    assert oracle.told(Skipped)[0].command.requests == (1,)


def test_what_is_open_at_the_deadline_expires_by_the_clock(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "abcd", answers=2))
    (expiry,) = oracle.due(Expire)
    assert expiry.at == oracle.now + 10 * HOUR
    oracle.tell(given((1, "yes"), (2, "yes")))
    oracle.tell(given((1, "yes"), by="bob"))
    oracle.tell(Lease(annotator="cid", kinds=(), limit=1, seconds=1e6))
    oracle.pass_time(10 * HOUR - 1)
    assert not oracle.told(Expired)
    oracle.pass_time(1)
    assert states(oracle) == {1: "ANSWERED", 2: "EXPIRED", 3: "EXPIRED", 4: "EXPIRED"}
    assert money(oracle) == (6, 0)  # three answers came


def test_an_expiry_that_finds_nothing_open_settles_all_the_same(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "a"))
    oracle.tell(given((1, "yes")))
    oracle.pass_time(11 * HOUR)
    assert not oracle.state.due()
    assert oracle.told(Expired)[0].requests == ()


def test_closing_a_batch_withdraws_what_is_open_in_it_alone(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "ab", batch="x"))
    oracle.tell(wanted(oracle, "c", batch="y"))
    oracle.tell(given((1, "yes")))
    assert oracle.tell(Close(batch="x")) == {"expired": 1}
    assert states(oracle) == {1: "ANSWERED", 2: "EXPIRED", 3: "OPEN"}
    assert oracle.tell(Close(batch="nothing of this name")) == {"expired": 0}


# -- volunteers -------------------------------------------------------------------------------


def test_a_volunteered_value_answers_an_open_request_of_its_key(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "ab"))
    assert oracle.tell(Volunteer(annotator="eve", key=key("b"), value="no"))["closed"] == 1
    assert states(oracle) == {1: "OPEN", 2: "ANSWERED"}
    oracle.refused(InvalidAnswer, Volunteer(annotator="eve", key=key("a"), value="perhaps"))
    oracle.tell(Lease(annotator="ann", kinds=(), limit=1, seconds=60))
    oracle.refused(Conflict, Volunteer(annotator="eve", key=key("a"), value="no"))


def test_a_value_that_was_volunteered_before_answers_the_request_as_it_opens(oracle: Driven) -> None:
    assert oracle.tell(Volunteer(annotator="eve", key=key("b"), value=True)) == {"kept": True}
    oracle.tell(wanted(oracle, "abc", choices=("False", "True")))
    assert states(oracle) == {1: "OPEN", 2: "ANSWERED", 3: "OPEN"}
    assert request(oracle, 2)["value"] == "True"
    assert money(oracle) == (2, 4)


def test_a_volunteered_value_is_one_of_several_answers(oracle: Driven) -> None:
    oracle.tell(Volunteer(annotator="eve", key=key("a"), value="yes"))
    oracle.tell(wanted(oracle, "a", answers=2))
    assert states(oracle) == {1: "OPEN"}
    oracle.refused(Conflict, given((1, "no"), by="eve"))
    oracle.tell(given((1, "yes"), by="ann"))
    assert states(oracle) == {1: "ANSWERED"}


def test_a_volunteered_value_that_is_no_answer_is_not_taken_for_one(oracle: Driven) -> None:
    oracle.tell(Volunteer(annotator="eve", key=key("a"), value="nonsense"))
    oracle.tell(wanted(oracle, "a"))
    assert states(oracle) == {1: "OPEN"}
    assert not oracle.told(Answered)


# -- money and queries ------------------------------------------------------------------------


def test_requests_are_listed_newest_first_by_state_kind_batch_and_id(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "ab", batch="x"))
    oracle.tell(wanted(oracle, "c", batch="y", kind=Kind.CLEAN_CELL))
    oracle.tell(given((1, "yes")))

    def ids(**query: Any) -> list[int]:
        return [r["id"] for r in oracle.ask(ListRequests(**query))["requests"]]

    assert ids() == [3, 2, 1]
    assert ids(limit=1) == [3]
    assert ids(state="OPEN") == [3, 2]
    assert ids(kind=Kind.RELABEL) == [2, 1]
    assert ids(batch="y") == [3]
    assert ids(ids=(1, 3)) == ids(ids=(3, 1, 3, 9)) == [3, 1]
    assert ids(ids=(1, 2), state="OPEN") == ids(batch="x", state="OPEN") == [2]
    assert ids(ids=(1, 2), batch="y") == ids(ids=()) == ids(batch="z") == ids(state="LOST") == []
    assert ids(state="OPEN", kind=Kind.RELABEL) == [2]
    assert oracle.ask(ListRequests(limit=1))["total"] == 3
    assert oracle.ask(ListRequests())["counts"] == {"ANSWERED": 1, "OPEN": 2}
    assert oracle.ask(ListRequests(), project="unknown")["requests"] == []


def test_requests_are_counted_by_the_states_that_some_are_in(oracle: Driven) -> None:
    def counts() -> dict[str, int]:
        return oracle.ask(ListRequests(limit=0))["counts"]

    assert counts() == {}
    oracle.tell(wanted(oracle, "abcd"))
    oracle.tell(wanted(oracle, "e", batch="c"))
    oracle.tell(Lease(annotator="ann", kinds=(), limit=2, seconds=60))
    assert counts() == {"OPEN": 3, "LEASED": 2}
    oracle.tell(given((1, "yes")))
    oracle.tell(Skip(annotator="ann", requests=(3,)))
    oracle.tell(Close(batch="c"))
    assert counts() == {"OPEN": 1, "LEASED": 1, "ANSWERED": 1, "SKIPPED": 1, "EXPIRED": 1}
    oracle.pass_time(60)
    assert counts() == {"OPEN": 2, "ANSWERED": 1, "SKIPPED": 1, "EXPIRED": 1}


def test_what_is_no_command_or_query_is_a_fault_of_the_caller(oracle: Driven) -> None:
    with pytest.raises(TypeError, match="no command"):
        oracle.tell(ListRequests())
    with pytest.raises(TypeError, match="no query"):
        oracle.ask(Close(batch="b"))


def test_an_item_that_comes_again_is_for_another_annotator(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "a"))
    oracle.tell(given((1, "yes"), by="ann"))
    oracle.tell(wanted(oracle, "a", batch="again"))
    assert oracle.tell(Lease(annotator="ann", kinds=(), limit=10, seconds=60.0))["requests"] == []
    oracle.refused(Conflict, given((2, "no"), by="ann"))
    assert oracle.tell(Lease(annotator="bob", kinds=(), limit=10, seconds=60.0))["requests"] == [2]
    oracle.tell(given((2, "no"), by="bob"))
    assert states(oracle) == {1: "ANSWERED", 2: "ANSWERED"}


def test_where_several_are_asked_a_skip_is_one_annotators_own(oracle: Driven) -> None:
    oracle.tell(wanted(oracle, "a", answers=2))
    oracle.tell(given((1, "yes"), by="ann"))
    oracle.tell(Skip(annotator="bob", requests=(1,)))
    assert states(oracle) == {1: "OPEN"}
    oracle.refused(Conflict, given((1, "no"), by="bob"))
    oracle.tell(given((1, "yes"), by="cid"))
    assert states(oracle) == {1: "ANSWERED"}
    assert money(oracle) == (4.0, 0.0)
