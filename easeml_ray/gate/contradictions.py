"""What is wrong with a condition that parses: clauses that no model can meet together.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
w       shares of the five kinds of rows (which of the two models is right, whether
        they differ), at least 0, with sum 1
v_j(w)  value of the expression of clause j
s       slack: the smallest distance of a v_j from what makes its clause TRUE
======  ==========================================================================

A condition can evaluate to TRUE on some test set exactly when a w exists with v_j(w) - ε_j > c_j for all
clauses j (mirrored for ``<``): a linear program in w and s, one for each set of rows that clauses speak of.
Where none exists, a smallest set of clauses that clash is found by leaving out one after another.
"""

from __future__ import annotations

import numpy as np

from easeml_ray.gate.condition import ROW_KINDS, Clause, Condition
from easeml_ray.gate.evaluation import Truth, reachable

__all__ = ["contradictions"]

# Above this the solver's rounding could be all of it: what is not sure to clash is not warned of.
_SLACK = -1e-6


def contradictions(condition: Condition) -> list[str]:
    r"""Name the clauses that can never be TRUE, alone or together, and those that can never be FALSE.

    Parameters
    ----------
    condition : Condition
        What to look at.

    Returns
    -------
    list of str
        Sentences, in the order of the clauses; empty where nothing is wrong.

    Examples
    --------
    >>> from easeml_ray.gate import contradictions, parse
    >>> contradictions(parse("n > 0.8 +/- 0.05 /\\ n < 0.8 +/- 0.05"))
    ['no model can meet n > 0.8 +/- 0.05 and n < 0.8 +/- 0.05 together: with fp-free nothing passes']
    >>> contradictions(parse("n > 0.95 +/- 0.05"))
    ['n > 0.95 +/- 0.05 leaves no room for TRUE: with fp-free nothing passes']
    """
    found: list[str] = []
    rest: list[Clause] = []
    for clause in condition.clauses:
        truths = reachable(clause)
        if Truth.TRUE not in truths:
            found.append(f"{clause} leaves no room for TRUE: with fp-free nothing passes")
        else:
            rest.append(clause)
        if Truth.FALSE not in truths:
            found.append(f"{clause} leaves no room for FALSE: with fn-free it fails nothing")
    for subset in dict.fromkeys(clause.subset for clause in rest):
        clash = _clash([clause for clause in rest if clause.subset == subset])
        if clash:
            names = ", ".join(map(str, clash[:-1])) + f" and {clash[-1]}"
            found.append(f"no model can meet {names} together: with fp-free nothing passes")
    return found


def _clash(clauses: list[Clause]) -> list[Clause]:
    """Return a smallest set of clauses that exclude one another; empty if all can be TRUE at once."""
    if _slack(clauses) > _SLACK:
        return []
    kept = list(clauses)
    for clause in clauses:
        fewer = [other for other in kept if other is not clause]
        if fewer and _slack(fewer) <= _SLACK:
            kept = fewer
    return kept


def _slack(clauses: list[Clause]) -> float:
    """Return the largest s with which all clauses are TRUE at one w."""
    from scipy.optimize import linprog

    kinds = np.array(ROW_KINDS, dtype=np.float64)
    sides = [(1.0 if clause.comparison == ">" else -1.0, clause) for clause in clauses]
    values = np.array([sign * kinds @ [float(c.n), float(c.o), float(c.d)] for sign, c in sides])
    needed = np.array([sign * float(c.threshold) + float(c.epsilon) for sign, c in sides])
    result = linprog(
        np.append(np.zeros(len(kinds)), -1.0),
        A_ub=np.column_stack([-values, np.ones(len(clauses))]),
        b_ub=-needed,
        A_eq=[np.append(np.ones(len(kinds)), 0.0)],
        b_eq=[1.0],
        bounds=[(0.0, 1.0)] * len(kinds) + [(None, None)],
    )
    return float(-result.fun)
