"""The condition language: what parses, what does not, and where it stops making sense."""

from __future__ import annotations

import pickle
import re
from decimal import Decimal
from fractions import Fraction

import pytest

from easeml_ray.errors import ConditionSyntax, InvalidArgument
from easeml_ray.gate import Clause, Condition, contradictions, parse
from easeml_ray.gate.condition import Subset


def test_a_clause_keeps_its_numbers_exact() -> None:
    (clause,) = parse("n - 1.1 * o > 0.01 +/- 1e-05").clauses
    assert clause.coefficients == {"n": Fraction(1), "o": Fraction(-11, 10)}
    assert (clause.comparison, clause.threshold, clause.epsilon) == (">", Decimal("0.01"), Decimal("0.00001"))


@pytest.mark.parametrize(
    ("text", "coefficients"),
    [
        ("n - n + n", {"n": 1}),
        ("n - o + d", {"n": 1, "o": -1, "d": 1}),
        ("n - o * 1.1", {"n": 1, "o": Fraction(-11, 10)}),
        ("2 * n * 3", {"n": 6}),
        ("-n + o", {"n": -1, "o": 1}),
        ("-0.5 * (n - 2 * (o - d))", {"n": Fraction(-1, 2), "o": 1, "d": -1}),
        ("n + o - o", {"n": 1}),
        (".5*d", {"d": Fraction(1, 2)}),
        ("(2) * n", {"n": 2}),
    ],
)
def test_repeated_variables_are_combined(text: str, coefficients: dict[str, Fraction]) -> None:
    assert parse(f"{text} < 0.1 +/- 0.01").clauses[0].coefficients == coefficients


def test_other_spellings_mean_the_same() -> None:
    plain = parse("n>.8+/-.1/\\d<.1+/-.1")
    assert plain == parse(" n > 0.80 ± 0.1 ∧ d < 1e-1 ± 0.10 ")
    assert hash(plain) == hash(parse(str(plain)))


def test_a_negative_threshold_is_a_number() -> None:
    assert parse("n - o > -0.02 +/- 0.01").clauses[0].threshold == Decimal("-0.02")


def test_the_span_respects_that_right_answers_coincide() -> None:
    assert parse("n - o > 0 +/- 1").clauses[0].span == (Fraction(-1), Fraction(1))
    # d is 1 where exactly one model is right, so n - o + d cannot reach -1 or lie between models.
    assert parse("n - o + d > 0 +/- 1").clauses[0].span == (Fraction(0), Fraction(2))
    assert parse("n + o + d > 0 +/- 1").clauses[0].span == (Fraction(0), Fraction(2))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("n", 1),
        ("n > o + 0.02 +/- 0.1", 4),
        ("n >= 0.8 +/- 0.1", 2),
        ("x > 0.8 +/- 0.1", 0),
        ("n * o > 0.8 +/- 0.1", 2),
        ("n + 0.1 > 0.8 +/- 0.1", 4),
        ("0.1 + n > 0.8 +/- 0.1", 0),
        ("0.5 > 0.2 +/- 0.1", 0),
        ("n > 0.8", 7),
        ("n > 0.8 +/- 0", 12),
        ("n > 0.8 +/- -0.1", 12),
        ("n - n > 0 +/- 0.1", 0),
        ("n > 0.8 +/- 0.1 /\\", 18),
        ("n > 0.8 +/- 0.1 d < 0.1 +/- 0.1", 16),
        ("n > 0.8 +/- 0.1 /\\ n ? 0", 21),
        ("(n > 0.8 +/- 0.1", 3),
        ("n) > 0.8 +/- 0.1", 1),
        ("- - n > 0.8 +/- 0.1", 2),
        ("n > 1e7 +/- 0.1", 4),
        ("n > 1e999999999999999999999 +/- 0.1", 4),
        ("n > 0.8 +/- 1e-10", 12),
        (f"n > 0.{'1' * 31} +/- 0.1", 4),
        (f"n{' * 0.0001' * 3} > 0 +/- 0.1", 0),
        (f"n{' * 1.000000001' * 40} > 0 +/- 0.1", 0),
        ("__import__('os') > 0 +/- 1", 11),
    ],
)
def test_an_error_says_where_the_text_stops_making_sense(text: str, position: int) -> None:
    with pytest.raises(ConditionSyntax) as caught:
        parse(text)
    assert caught.value.position == position
    assert caught.value.text == text
    assert f"column {position + 1}" in caught.value.message


@pytest.mark.parametrize(
    "text", ["(" * 4000, "n > 0 +/- 1 /\\ " * 16 + "n > 0 +/- 1", "n" * 5000, "1e6*" * 1000 + "n > 0 +/- 1"]
)
def test_texts_beyond_the_limits_are_refused(text: str) -> None:
    with pytest.raises(ConditionSyntax):
        parse(text)


def test_a_text_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConditionSyntax, match="not int"):
        parse(3)  # type: ignore[arg-type]


def test_a_clause_built_by_hand_is_checked() -> None:
    with pytest.raises(InvalidArgument, match="no variable"):
        Clause(Fraction(0), Fraction(0), Fraction(0), ">", Decimal(0), Decimal("0.1"))
    with pytest.raises(InvalidArgument, match="tolerance"):
        Clause(Fraction(1), Fraction(0), Fraction(0), ">", Decimal(0), Decimal(0))
    with pytest.raises(InvalidArgument, match="decimal"):
        Clause(Fraction(1, 3), Fraction(0), Fraction(0), ">", Decimal(0), Decimal("0.1"))
    with pytest.raises(InvalidArgument, match="comparison"):
        Clause(Fraction(1), Fraction(0), Fraction(0), "=", Decimal(0), Decimal("0.1"))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="no clause"):
        Condition(())


def test_conditions_and_their_errors_survive_a_pickle() -> None:
    condition = parse("n - o > 0.02 +/- 0.01 /\\ d < 0.1 +/- 0.01")
    assert pickle.loads(pickle.dumps(condition)) == condition
    with pytest.raises(ConditionSyntax) as caught:
        parse("n >")
    assert pickle.loads(pickle.dumps(caught.value)).position == 3


# -- slices, recall, latency ----------------------------------------------------------------------


def test_a_clause_may_speak_of_a_slice() -> None:
    (clause,) = parse('n[site = "north"] - 2 * o[site="north"] > 0.02 +/- 0.05').clauses
    assert clause.coefficients == {"n": 1, "o": -2}
    assert clause.subset == Subset("site", "north")
    assert str(clause) == 'n[site = "north"] - 2 * o[site = "north"] > 0.02 +/- 0.05'


def test_a_clause_may_speak_of_a_class() -> None:
    (clause,) = parse('recall(n, "sick") > 0.9 +/- 0.05').clauses
    assert clause.subset == Subset(None, "sick")


@pytest.mark.parametrize("value", ["", "a b", 'say "so"', "back\\slash", "ends in \\", "ä∧±/\\ latency"])
def test_values_of_any_kind_are_printed_so_that_they_are_read_again(value: str) -> None:
    for subset in (Subset("a column", value), Subset(value or "x", value), Subset(None, value)):
        clause = Clause(Fraction(1), Fraction(-1), Fraction(0), ">", Decimal(0), Decimal("0.1"), subset)
        assert parse(str(clause)).clauses == (clause,)


def test_latency_is_a_check_beside_the_clauses() -> None:
    text = "latency < 50 ms /\\ n > 0.8 +/- 0.1 /\\ latency < 20.5 ms"
    condition = parse(text)
    assert str(condition) == text
    assert len(condition.clauses) == 1
    assert condition.latency == Decimal("20.5")
    assert parse("n > 0.8 +/- 0.1").latency is None
    assert condition.subsets == frozenset()


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ('n[site = "a"] - o > 0 +/- 0.1', 16, "different rows"),
        ('n - recall(o, "a") > 0 +/- 0.1', 4, "different rows"),
        ("latency < 5 ms", 0, "No clause"),
        ("latency > 5 ms", 8, "'<'"),
        ("latency < 0 ms", 10, "greater than 0"),
        ("latency < 5 s", 12, "'ms'"),
        ('recall(d, "a") > 0 +/- 0.1', 7, "n or o"),
        ("recall n > 0 +/- 0.1", 7, "'('"),
        ("n[site = 3] > 0 +/- 0.1", 9, "between quotes"),
        ('n["site] > 0 +/- 0.1', 2, "without its end"),
        ('n[site = "a" > 0 +/- 0.1', 13, "']'"),
    ],
)
def test_what_is_wrong_with_them_is_said_where_it_is(text: str, position: int, message: str) -> None:
    with pytest.raises(ConditionSyntax, match=re.escape(message)) as caught:
        parse(text)
    assert caught.value.position == position


# -- contradictions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "n > 0.8 +/- 0.05 /\\ n - o > 0.02 +/- 0.01 /\\ d < 0.1 +/- 0.01",
        'n[a = "x"] > 0.8 +/- 0.1 /\\ n[a = "y"] < 0.2 +/- 0.1',
        "n - o > 0.1 +/- 0.01 /\\ d < 0.2 +/- 0.01",
    ],
)
def test_conditions_that_a_model_can_meet_are_not_warned_of(text: str) -> None:
    assert contradictions(parse(text)) == []


@pytest.mark.parametrize(
    ("text", "clashing"),
    [
        ("d < 0.3 +/- 0.01 /\\ n > 0.8 +/- 0.05 /\\ n < 0.6 +/- 0.05", (1, 2)),
        # Models that differ on a tenth of the rows cannot be a fifth apart.
        ("n > 0.5 +/- 0.1 /\\ d < 0.1 +/- 0.01 /\\ n - o > 0.2 +/- 0.01", (1, 2)),
        ("n > 0.9 +/- 0.05 /\\ o < 0.5 +/- 0.1 /\\ d < 0.3 +/- 0.1", (0, 1, 2)),
        ('recall(n, "a") > 0.8 +/- 0.05 /\\ recall(n, "a") < 0.8 +/- 0.05', (0, 1)),
    ],
)
def test_clauses_that_exclude_one_another_are_named(text: str, clashing: tuple[int, ...]) -> None:
    condition = parse(text)
    (sentence,) = contradictions(condition)
    for i, clause in enumerate(condition.clauses):
        assert (str(clause) in sentence) == (i in clashing)


def test_tolerances_without_room_are_named() -> None:
    assert "no room for TRUE" in contradictions(parse("d < 0.1 +/- 0.1"))[0]
    assert "no room for FALSE" in contradictions(parse("n > 0.05 +/- 0.05"))[0]
