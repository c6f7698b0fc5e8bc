"""ModelPicker: which of several models is best on a stream, with few labels asked.

=======  ========================================================================
symbol   meaning, shape
=======  ========================================================================
k        number of models
t        number of the proposal, from 1; every row counts, asked or not
f_j      class that model j predicts for the row, (k,)
L_j      importance-weighted number of errors of model j so far, (k,)
η_t      learning rate, √(ln k / 2) / √t
w_j      posterior weight of model j, ∝ exp(-η_t (L_j - min L)), (k,)
ℓ_c      weight of the models that are wrong if the label is c, Σ_j w_j 1[f_j ≠ c]
u_t      probability of asking for the label
β        scale of the asking probability
=======  ========================================================================

A row on which the models disagree is asked with u_t = min(1, max(β max_c ℓ_c (1 - ℓ_c), η_t)),
provided that the maximum is positive; a row on which all agree never is. An answer y adds
1[f_j ≠ y] / u_t to every L_j, so that the expected loss differences are the true ones.

The learning rate of step t is computed anew from t, never from that of step t - 1, and the floor
η_t keeps the importance weights bounded; both are part of the method's guarantee.

References
----------
M. R. Karimi, N. M. Gürel, B. Karlaš, J. Rausch, C. Zhang, A. Krause, "Online Active Model
Selection for Pre-trained Classifiers", AISTATS 2021, Algorithm 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.errors import InvalidArgument

__all__ = ["ModelPicker", "Query"]


@dataclass(frozen=True, slots=True)
class Query:
    """What the picker decided about one row.

    Parameters
    ----------
    id : int
        Number of the proposal, from 0.
    ask : bool
        Whether the row's label is wanted.
    probability : float
        u_t, with which it was to be asked; 0 where the models agree.
    """

    id: int
    ask: bool
    probability: float


def learning_rate(n_models: int, proposals: int) -> float:
    """Return η of the next proposal, after ``proposals`` of them."""
    return math.sqrt(math.log(n_models) / 2) / math.sqrt(proposals + 1)


def posterior(losses: ArrayLike, proposals: int) -> NDArray[np.float64]:
    """Return the weights w, (n_models,), of losses L after so many proposals; they sum to 1."""
    known = np.asarray(losses, dtype=np.float64)
    eta = learning_rate(len(known), proposals)
    weights: NDArray[np.float64] = np.exp(-eta * (known - known.min()))
    weights /= weights.sum()
    return weights


class ModelPicker:
    """Online selection among models by importance-weighted errors.

    The state is a function of the proposals and answers in their order:
    :meth:`record` in place of :meth:`propose` rebuilds it from a log without drawing a coin.

    Parameters
    ----------
    n_models : int
        k, at least 1. With a single model nothing is ever asked.
    n_classes : int
        Number of classes, at least 2.
    beta : float, default 1.0
        β, positive. Larger values ask for more labels.
    rng : numpy.random.Generator
        Throws one coin a proposal on which the models disagree.

    Raises
    ------
    InvalidArgument
        If a parameter is outside its range.

    Examples
    --------
    >>> import numpy as np
    >>> from easeml_ray.pool import ModelPicker
    >>> picker = ModelPicker(2, 3, rng=np.random.default_rng(1))
    >>> query = picker.propose([0, 1])
    >>> query.ask, round(query.probability, 3)
    (True, 0.589)
    >>> picker.observe(query.id, 1)
    >>> picker.best
    1
    >>> picker.propose([2, 2]).ask
    False
    """

    def __init__(self, n_models: int, n_classes: int, *, beta: float = 1.0, rng: np.random.Generator) -> None:
        if n_models < 1:
            raise InvalidArgument(f"n_models is {n_models}, less than 1.", argument="n_models")
        if n_classes < 2:
            raise InvalidArgument(f"n_classes is {n_classes}, less than 2.", argument="n_classes")
        if not (math.isfinite(beta) and beta > 0):
            raise InvalidArgument(f"beta is {beta}, not a positive number.", argument="beta")
        self.n_models = int(n_models)
        self.n_classes = int(n_classes)
        self.beta = float(beta)
        self._rng = rng
        self._losses = np.zeros(self.n_models)
        self._proposals = 0
        # Questions without an answer: id -> (predictions (k,), u_t at the time of asking).
        self._pending: dict[int, tuple[NDArray[np.int64], float]] = {}

    @classmethod
    def resumed(
        cls, losses: ArrayLike, proposals: int, *, n_classes: int, beta: float = 1.0, rng: np.random.Generator
    ) -> ModelPicker:
        """Return a picker in the middle of a stream, for an owner who keeps the losses.

        Open questions are not known to it: their answers are added to the losses by the owner,
        as 1[f_j ≠ y] / u_t each.

        Parameters
        ----------
        losses : array-like of shape (n_models,)
            L so far, finite and not negative.
        proposals : int
            Rows proposed so far; the next id.
        n_classes, beta, rng
            As of the class.

        Returns
        -------
        ModelPicker
            Proposes as one that has lived through the stream and has these losses.

        Raises
        ------
        InvalidArgument
            If a parameter is outside its range.

        Examples
        --------
        >>> picker = ModelPicker.resumed([4.0, 1.0], 10, n_classes=2, rng=np.random.default_rng(0))
        >>> picker.best, picker.propose([0, 0]).id
        (1, 10)
        """
        given = np.asarray(losses, dtype=np.float64)
        if given.ndim != 1 or not (np.isfinite(given) & (given >= 0)).all():
            raise InvalidArgument("losses are not one finite number from 0 up a model.", argument="losses")
        if proposals < 0:
            raise InvalidArgument(f"proposals is {proposals}, less than 0.", argument="proposals")
        picker = cls(given.size, n_classes, beta=beta, rng=rng)
        picker._losses = given.copy()
        picker._proposals = int(proposals)
        return picker

    def propose(self, predictions: ArrayLike) -> Query:
        """Decide whether the label of the stream's next row is wanted.

        Parameters
        ----------
        predictions : array-like of int, shape (n_models,)
            The class that each model predicts.

        Returns
        -------
        Query
            Its ``id`` is what :meth:`observe` takes.

        Raises
        ------
        InvalidArgument
            If the predictions are not one class a model.
        """
        checked = self._check_predictions(predictions)
        probability = self._probability(checked)
        ask = probability > 0 and self._rng.random() < probability
        return self._note(ask, probability, checked)

    def record(self, id: int, ask: bool, probability: float, predictions: ArrayLike | None = None) -> Query:
        """Repeat a proposal whose coin has fallen before, as when a log is replayed.

        Parameters
        ----------
        id : int
            The proposal's id; proposals are recorded in order, without gaps.
        ask : bool
            How the coin fell.
        probability : float
            u_t of the proposal, in [0, 1]; positive if ``ask``.
        predictions : array-like of int, shape (n_models,), optional
            The class that each model predicts; needed only if ``ask``.

        Returns
        -------
        Query
            The same as :meth:`propose` returned.

        Raises
        ------
        InvalidArgument
            If the id is not the next one, the probability is outside its range, or predictions
            are needed and missing.
        """
        if id != self._proposals:
            raise InvalidArgument(
                f"The proposal {id} does not follow the {self._proposals} recorded so far.",
                hint="record every proposal once and in order",
                argument="id",
            )
        if not 0 <= probability <= 1 or (ask and probability == 0):
            raise InvalidArgument(
                f"The probability {probability} does not go with ask={ask}.", argument="probability"
            )
        if ask and predictions is None:
            raise InvalidArgument(
                f"The proposal {id} was asked, so its predictions are needed.", argument="predictions"
            )
        checked = None if predictions is None else self._check_predictions(predictions)
        return self._note(ask, float(probability), checked)

    def observe(self, id: int, label: int) -> None:
        """Take the answer to a question, however late and in whatever order.

        Parameters
        ----------
        id : int
            Of a proposal that was asked and has no answer yet.
        label : int
            The true class.

        Raises
        ------
        InvalidArgument
            If no such question is open or the label is not a class.
        """
        if isinstance(label, bool) or not 0 <= label < self.n_classes or label != int(label):
            raise InvalidArgument(
                f"The label {label!r} is not a class from 0 to {self.n_classes - 1}.", argument="label"
            )
        predictions, probability = self._take(id)
        self._losses += (predictions != int(label)) / probability

    def drop(self, id: int) -> None:
        """Give up a question that will never be answered.

        The loss differences stay unbiased only if answers are missing independently of the label.

        Parameters
        ----------
        id : int
            Of a proposal that was asked and has no answer yet.

        Raises
        ------
        InvalidArgument
            If no such question is open.
        """
        self._take(id)

    @property
    def proposals(self) -> int:
        """Number of rows proposed so far; the next id."""
        return self._proposals

    @property
    def pending(self) -> tuple[int, ...]:
        """Ids of the questions without an answer, oldest first."""
        return tuple(self._pending)

    @property
    def losses(self) -> NDArray[np.float64]:
        """A copy of L, shape (n_models,)."""
        return self._losses.copy()

    @property
    def posterior(self) -> NDArray[np.float64]:
        """The weights w that the next proposal will use, shape (n_models,), summing to 1."""
        return posterior(self._losses, self._proposals)

    @property
    def best(self) -> int:
        """The model of the largest weight; of equal ones the smallest index."""
        # Of the losses rather than the weights: exp makes distant losses equal by underflow.
        return int(np.argmin(self._losses))

    def _learning_rate(self) -> float:
        return learning_rate(self.n_models, self._proposals)

    def _probability(self, predictions: NDArray[np.int64]) -> float:
        if (predictions == predictions[0]).all():
            return 0.0
        # A class that no model predicts has ℓ_c = 1 and adds nothing to the maximum.
        right = np.bincount(predictions, weights=self.posterior, minlength=self.n_classes)
        uncertainty = self.beta * float(np.max((1 - right) * right))
        # Once all weight is on models that agree with one another, there is nothing to learn.
        return min(1.0, max(uncertainty, self._learning_rate())) if uncertainty > 0 else 0.0

    def _note(self, ask: bool, probability: float, predictions: NDArray[np.int64] | None) -> Query:
        query = Query(self._proposals, bool(ask), probability)
        if ask and predictions is not None:
            self._pending[query.id] = (predictions, probability)
        self._proposals += 1
        return query

    def _take(self, id: int) -> tuple[NDArray[np.int64], float]:
        if id not in self._pending:
            raise InvalidArgument(
                f"The proposal {id} has no open question.",
                hint="each asked proposal takes one answer",
                argument="id",
            )
        return self._pending.pop(id)

    def _check_predictions(self, predictions: ArrayLike) -> NDArray[np.int64]:
        given = np.asarray(predictions)
        if given.shape != (self.n_models,) or given.dtype.kind not in "iu":
            raise InvalidArgument(
                f"predictions has shape {given.shape} and type {given.dtype}, not {self.n_models} integers.",
                argument="predictions",
            )
        if given.min() < 0 or given.max() >= self.n_classes:
            raise InvalidArgument(
                f"A prediction is not a class from 0 to {self.n_classes - 1}.", argument="predictions"
            )
        return given.astype(np.int64)
