r"""The language of test conditions: a hand-written scanner and a recursive parser.

::

    formula  :=  part { /\ part }
    part     :=  clause | latency < number ms
    clause   :=  sum (> | <) number +/- tolerance
    sum      :=  term { (+ | -) term }
    term     :=  factor { * factor }               at most one factor holds variables
    factor   :=  [+ | -] ( number | variable | "(" sum ")" )
    variable :=  v | v "[" column = value "]" | recall "(" (n | o) , value ")"
    v        :=  n | o | d

``n[site = "north"]`` is the accuracy on the rows whose feature ``site`` is ``north``, and
``recall(n, "sick")`` that on the rows of the class ``sick``; one clause speaks of one such set of rows.
Values, and columns whose names are no words, stand between quotes.

The variables are those of :mod:`easeml_ray.gate.condition`. The product binds tighter than the
sum and sums are read from left to right, so ``n - o + d`` is (n - o) + d. ``±`` and ``∧`` are other
spellings of ``+/-`` and ``/\``. Numbers stay exact: nothing passes through binary floating point.

References
----------
C. Renggli et al., "Continuous Integration of Machine Learning Models with
ease.ml/ci", SysML 2019, section 2 (the condition language).
"""

from __future__ import annotations

import decimal
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NoReturn

from easeml_ray.errors import ConditionSyntax
from easeml_ray.gate.condition import VARIABLES, Clause, Comparison, Condition, Latency, Linear, Subset

__all__ = ["parse"]

# Bounds on what is read, so that a hostile text cannot cost time or memory.
MAX_TEXT = 4096
MAX_CLAUSES = 16
MAX_DEPTH = 16
MAX_DIGITS = 30
LARGEST = Decimal("1e6")
SMALLEST = Decimal("1e-9")

FORM = "a condition compares accuracies with a tolerance, as in: n - o > 0.02 +/- 0.01 /\\ n > 0.8 +/- 0.05"

TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<tolerance>\+/-|±)
      | (?P<conjunction>/\\|∧)
      | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d]\w*)
      | (?P<quoted>"(?:[^"\\\n]|\\["\\])*")
      | (?P<symbol>>=|<=|==|[+\-*()<>=,\[\]])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: its kind, its spelling and where it begins."""

    kind: str
    text: str
    position: int


@lru_cache(maxsize=1024)
def parse(text: str) -> Condition:
    r"""Read a condition.

    Parameters
    ----------
    text : str
        A formula of the grammar at the top of this module, at most 4,096 characters.

    Returns
    -------
    Condition
        Variables that occur more than once in a clause are combined.

    Raises
    ------
    ConditionSyntax
        With ``position``, the index of the character at which the text stops making sense.

    Examples
    --------
    >>> condition = parse("n - 1.1 * o > 0.01 +/- 0.01 /\\ d < 0.1 +/- 1e-2")
    >>> print(condition)
    n - 1.1 * o > 0.01 +/- 0.01 /\ d < 0.1 +/- 0.01
    >>> {v: str(c) for v, c in condition.clauses[0].coefficients.items()}
    {'n': '1', 'o': '-11/10'}
    >>> parse("n - o > 0.02")
    Traceback (most recent call last):
        ...
    easeml_ray.errors.ConditionSyntax: Expected '+/-' at column 13, found the end of the condition.
    Hint: every comparison needs a tolerance, as in: n - o > 0.02 +/- 0.01
    """
    if not isinstance(text, str):
        raise ConditionSyntax(f"A condition is a text, not {type(text).__name__}.", position=0)
    if len(text) > MAX_TEXT:
        raise ConditionSyntax(
            f"The condition has {len(text)} characters, more than {MAX_TEXT}.",
            text=text[:MAX_TEXT],
            position=MAX_TEXT,
        )
    return Parser(text).formula()


class Parser:
    """Recursive descent over the tokens of one text; one method a rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self.scan()
        self.index = 0
        self.depth = 0
        self.subset: Subset | None = None  # what the present clause speaks of
        self.named = False  # whether it has named a variable yet

    def scan(self) -> list[Token]:
        """Cut the text into tokens; the last one is always the end."""
        tokens: list[Token] = []
        position = 0
        while position < len(self.text):
            match = TOKEN.match(self.text, position)
            if match is None:
                if self.text[position] == '"':
                    self.fail("A quotation without its end", position, 'values end with ", as in "north"')
                self.fail(f"Unexpected character {self.text[position]!r}", position)
            kind = str(match.lastgroup)
            if kind != "space":
                spelling = match.group()
                # What follows is compared by spelling, so the alternative ones end here.
                canonical = {"tolerance": "+/-", "conjunction": "/\\"}.get(kind, spelling)
                tokens.append(Token(kind, canonical, position))
            position = match.end()
        tokens.append(Token("end", "", len(self.text)))
        return tokens

    @property
    def token(self) -> Token:
        """The token that is read next."""
        return self.tokens[self.index]

    def advance(self) -> Token:
        """Take the next token."""
        token = self.token
        self.index += 1
        return token

    def fail(self, message: str, position: int, hint: str = "") -> NoReturn:
        """Raise the syntax error, with the column that a person counts."""
        raise ConditionSyntax(
            f"{message} at column {position + 1}.", hint=hint or FORM, text=self.text, position=position
        )

    def unexpected(self, expected: str, hint: str = "") -> NoReturn:
        """Raise for the next token, naming what should stand there."""
        found = repr(self.token.text) if self.token.text else "the end of the condition"
        raise ConditionSyntax(
            f"Expected {expected} at column {self.token.position + 1}, found {found}.",
            hint=hint or FORM,
            text=self.text,
            position=self.token.position,
        )

    def formula(self) -> Condition:
        """Read clauses joined by conjunctions, up to the end."""
        parts = [self.part()]
        while self.token.text == "/\\":
            if len(parts) == MAX_CLAUSES:
                self.fail(f"More than {MAX_CLAUSES} clauses", self.token.position)
            self.advance()
            parts.append(self.part())
        if self.token.kind != "end":
            self.unexpected("'/\\' or the end", "clauses are joined by /\\")
        if not any(isinstance(part, Clause) for part in parts):
            self.fail("No clause about the models' answers", 0)
        return Condition(tuple(parts))

    def part(self) -> Clause | Latency:
        """Read a clause or a check."""
        if self.token.text == "latency":
            return self.latency()
        self.subset, self.named = None, False
        return self.clause()

    def latency(self) -> Latency:
        """Read a limit of latency."""
        shape = "as in: latency < 50 ms"
        self.advance()
        if self.token.text != "<":
            self.unexpected("'<'", shape)
        self.advance()
        where = self.token.position
        limit = self.signed_number()
        if limit <= 0:
            self.fail("The latency must be greater than 0", where)
        if self.token.text != "ms":
            self.unexpected("'ms'", shape)
        self.advance()
        return Latency(limit)

    def clause(self) -> Clause:
        """Read one comparison with its tolerance."""
        start = self.token.position
        left = self.sum()
        if isinstance(left, Fraction):
            self.fail("Expected an expression in n, o or d", start)
        comparison = self.comparison()
        threshold = self.signed_number()
        if self.token.text != "+/-":
            self.unexpected("'+/-'", "every comparison needs a tolerance, as in: n - o > 0.02 +/- 0.01")
        self.advance()
        where = self.token.position
        epsilon = self.signed_number()
        if epsilon <= 0:
            self.fail("The tolerance must be greater than 0", where)
        return self.checked(left, comparison, threshold, epsilon, start)

    def checked(
        self, left: Linear, comparison: Comparison, threshold: Decimal, epsilon: Decimal, start: int
    ) -> Clause:
        """Build the clause once its combined coefficients are known to be usable."""
        coefficients = {v: left.get(v, Fraction(0)) for v in VARIABLES}
        if not any(coefficients.values()):
            self.fail("The variables cancel out in the clause", start)
        for variable, value in coefficients.items():
            if value and not (SMALLEST <= abs(value) <= LARGEST and has_few_digits(value)):
                self.fail(f"The coefficient of {variable} is out of range in the clause", start)
        return Clause(
            **coefficients, comparison=comparison, threshold=threshold, epsilon=epsilon, subset=self.subset
        )

    def comparison(self) -> Comparison:
        """Read ``>`` or ``<``."""
        if self.token.text not in (">", "<"):
            strict = self.token.text in (">=", "<=", "==", "=")
            self.unexpected("'>' or '<'", "comparisons are strict" if strict else "")
        return ">" if self.advance().text == ">" else "<"

    def signed_number(self) -> Decimal:
        """Read a number with an optional sign, where no expression may stand."""
        negative = self.token.text == "-"
        if self.token.text in ("+", "-"):
            self.advance()
        if self.token.kind != "number":
            moved = "the right side is a number; write n > o + 0.02 as n - o > 0.02"
            self.unexpected("a number", moved if self.token.kind == "name" else "")
        value = self.number()
        return value.copy_negate() if negative else value

    def number(self) -> Decimal:
        """Read an unsigned number."""
        token = self.advance()
        try:
            value = Decimal(token.text)
        except decimal.InvalidOperation:
            value = Decimal("Infinity")
        if value and not SMALLEST <= value <= LARGEST:
            self.fail(f"The number {token.text[:40]} is not within {SMALLEST} and {LARGEST}", token.position)
        if len(value.as_tuple().digits) > MAX_DIGITS:
            self.fail(f"The number has more than {MAX_DIGITS} digits", token.position)
        # "0e-99999" is 0 with an exponent that would be written out in full.
        return value if value else Decimal(0)

    def sum(self) -> Linear | Fraction:
        """Read terms from left to right."""
        start = self.token.position
        total = self.term()
        while self.token.text in ("+", "-"):
            sign = 1 if self.advance().text == "+" else -1
            position = self.token.position
            other = self.term()
            for part, where in ((total, start), (other, position)):
                if isinstance(part, Fraction):
                    self.fail(
                        "A number without a variable in a sum",
                        where,
                        "move constants to the right of the comparison",
                    )
            assert isinstance(total, dict) and isinstance(other, dict)
            total = {v: total.get(v, Fraction(0)) + sign * other.get(v, Fraction(0)) for v in VARIABLES}
        return total

    def term(self) -> Linear | Fraction:
        """Read a product; variables may not be multiplied by variables."""
        product = self.factor()
        while self.token.text == "*":
            position = self.advance().position
            other = self.factor()
            if isinstance(other, Fraction):
                product = times(product, other)
            elif isinstance(product, Fraction):
                product = times(other, product)
            else:
                self.fail("A product of two variables", position, "conditions are linear in n, o and d")
        return product

    def factor(self) -> Linear | Fraction:
        """Read a number, a variable or a sum in parentheses, with an optional sign."""
        if self.token.text in ("+", "-"):
            sign = Fraction(1 if self.advance().text == "+" else -1)
            if self.token.text in ("+", "-"):
                self.unexpected("a number or a variable")
            return times(self.factor(), sign)
        if self.token.kind == "number":
            return Fraction(self.number())
        if self.token.kind == "name":
            return self.variable()
        if self.token.text == "(":
            return self.parenthesis()
        self.unexpected("n, o, d or a number")

    def variable(self) -> Linear:
        """Read a variable and the rows that it is a share of."""
        start = self.token.position
        subset: Subset | None = None
        if self.token.text == "recall":
            self.advance()
            self.expect("(")
            name = self.choice(("n", "o"), "recall(n, ...) of the new model, recall(o, ...) of the old one")
            self.expect(",")
            subset = Subset(None, self.quoted())
            self.expect(")")
        else:
            name = self.choice(
                VARIABLES, "n: accuracy of the new model, o: of the old one, d: their difference"
            )
            if self.token.text == "[":
                self.advance()
                column = self.advance().text if self.token.kind == "name" else self.quoted()
                self.expect("=")
                subset = Subset(column, self.quoted())
                self.expect("]")
        if self.named and subset != self.subset:
            self.fail(
                "A clause that speaks of different rows", start, "write one clause for each slice or class"
            )
        self.subset, self.named = subset, True
        return {name: Fraction(1)}

    def expect(self, symbol: str) -> None:
        """Take a symbol that has to stand here."""
        if self.token.text != symbol:
            self.unexpected(repr(symbol), 'as in: n[site = "north"] or recall(n, "sick")')
        self.advance()

    def choice(self, names: tuple[str, ...], hint: str) -> str:
        """Take one of a few names."""
        if self.token.text not in names:
            self.unexpected(f"{', '.join(names[:-1])} or {names[-1]}", hint)
        return self.advance().text

    def quoted(self) -> str:
        """Take a text between quotes and return what it says."""
        if self.token.kind != "quoted":
            self.unexpected("a text between quotes", 'as in: n[site = "north"] or recall(n, "sick")')
        return re.sub(r"\\(.)", r"\1", self.advance().text[1:-1])

    def parenthesis(self) -> Linear | Fraction:
        """Read a sum in parentheses."""
        opening = self.advance()
        if self.depth == MAX_DEPTH:
            self.fail(f"Parentheses nested deeper than {MAX_DEPTH}", opening.position)
        self.depth += 1
        inner = self.sum()
        self.depth -= 1
        if self.token.text != ")":
            self.unexpected("')'")
        self.advance()
        return inner


def times(value: Linear | Fraction, number: Fraction) -> Linear | Fraction:
    """Multiply an expression by a number."""
    if isinstance(value, Fraction):
        return value * number
    return {v: c * number for v, c in value.items()}


def has_few_digits(value: Fraction) -> bool:
    """Whether a number can be written within the digits that the language reads."""
    context = decimal.Context(prec=MAX_DIGITS)
    context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return not context.flags[decimal.Inexact]
