"""Embeddings that the caller brings: a function, or a scikit-learn transformer.

What they return is checked on every call, and what they raise is told with their name, so
that a study says which embedding to mend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.extras import called
from easeml_ray.embed.own import is_reserved
from easeml_ray.embed.recipe import Recipe
from easeml_ray.embed.rows import Modality, flat_pixels, unit_floats
from easeml_ray.errors import InvalidArgument

__all__ = ["FunctionEmbedding", "TransformerEmbedding"]

# Enough rows to learn the width from; a function may squeeze a single one.
PROBED_ROWS = 2


@dataclass(frozen=True, slots=True)
class Guarded:
    """A callable of rows whose results are checked: (n_rows, n_dimensions), finite."""

    name: str
    function: Callable[[Any], Any]
    n_dimensions: int

    @classmethod
    def probed(cls, name: str, function: Callable[[Any], Any], rows: Any) -> Guarded:
        """Learn the width from the first rows."""
        return cls(name, function, _result(name, function, rows[:PROBED_ROWS]).shape[1])

    def __call__(self, rows: Any) -> FloatArray:
        """Embed rows; none need no call."""
        if len(rows) == 0:
            return np.empty((0, self.n_dimensions))
        embedded = _result(self.name, self.function, rows)
        if embedded.shape[1] != self.n_dimensions:
            _refuse(
                self.name,
                f"returns {embedded.shape[1]} dimensions, after {self.n_dimensions} when it was fitted",
            )
        return embedded


def _result(name: str, function: Callable[[Any], Any], rows: Any) -> FloatArray:
    """Call the function; return finite float64 (n_rows, at least 1), or refuse."""
    returned = called("embedding", name, "embedding rows", function, rows)
    if hasattr(returned, "toarray"):  # sparse
        returned = returned.toarray()
    try:
        embedded = np.ascontiguousarray(returned, dtype=np.float64)
    except (TypeError, ValueError):
        _refuse(name, f"returns a {type(returned).__name__} that is no array of numbers")
    if np.ndim(returned) != 2 or embedded.shape[1] == 0:
        _refuse(name, f"returns an array of shape {np.shape(returned)}, not (rows, dimensions)")
    if embedded.shape[0] != len(rows):
        _refuse(name, f"returns {embedded.shape[0]} row(s) for {len(rows)}")
    bad = np.flatnonzero(~np.isfinite(embedded).all(axis=1))
    if bad.size:
        _refuse(name, f"returns NaN or infinity in {bad.size} row(s), the first is row {bad[0]}")
    return embedded


def _refuse(name: str, what: str) -> None:
    raise InvalidArgument(
        f"the embedding {name!r} {what}",
        hint="Correct it: it must return one row of the same finite numbers for each row given.",
        argument="embeddings",
    )


def _check_name(name: str) -> None:
    if not name or is_reserved(name):
        raise InvalidArgument(
            f"{name!r} cannot be the name of your embedding",
            hint="Give a name that is not empty and not one of the library's.",
            argument="name",
        )


@dataclass(frozen=True, slots=True)
class FunctionEmbedding(Recipe):
    """An embedding by a function of rows, which has nothing to fit.

    Parameters
    ----------
    name : str
        The name under which it stands in reports; none of the library's.
    function : callable
        Maps float64 features (n_rows, n_features), a list of str, or float64 images (n_rows, height, width,
        channels) to numbers (n_rows, n_dimensions), each row by itself: one that looks at the other rows
        would carry held-out rows into each other. For use in other processes it must be picklable.
    modality : str
        ``"table"``, ``"text"`` or ``"image"``.
    cost : float
        Microseconds a row, to order work by.

    Raises
    ------
    InvalidArgument
        If the name is empty or taken. In use: if the function raises, or returns another
        number of rows, another width than for the first rows, NaN or infinity.

    Examples
    --------
    >>> lengths = FunctionEmbedding("lengths", lambda texts: [[len(t)] for t in texts], modality="text")
    >>> lengths.fit(["abc"]).transform(["a", "ab"])
    array([[1.],
           [2.]])
    """

    # field(): else the property of the base would be taken for its default.
    name: str = field()
    function: Callable[[Any], Any]
    modality: Modality = "table"
    cost: float = 100.0

    def __post_init__(self) -> None:
        _check_name(self.name)

    def learn(self, rows: Any, y: IntArray) -> Guarded:
        """Learn the width from the first rows."""
        function = OfImages(unit_floats, self.function) if self.modality == "image" else self.function
        return Guarded.probed(self.name, function, rows)


@dataclass(frozen=True, slots=True)
class TransformerEmbedding(Recipe):
    """An embedding by a scikit-learn transformer, cloned and fitted on the train rows.

    Parameters
    ----------
    name : str
        The name under which it stands in reports; none of the library's.
    transformer : object
        Has ``get_params``, ``fit`` and ``transform``. It gets float64 features, a list of
        str, or float64 images with all pixels in one row. One that draws needs a fixed
        ``random_state``. Sparse results become dense.
    modality : str
        ``"table"``, ``"text"`` or ``"image"``.
    supervised : bool
        Whether ``fit`` gets the class codes.
    cost : float
        Microseconds a row, to order work by.

    Raises
    ------
    InvalidArgument
        If the name is empty or taken. In use: if the transformer raises, or returns another
        number of rows, another width than for the first rows, NaN or infinity.

    Examples
    --------
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> TransformerEmbedding("unit", MinMaxScaler()).fit([[1.0], [3.0]]).transform([[2.0]])
    array([[0.5]])
    """

    # field(): else the property of the base would be taken for its default.
    name: str = field()
    transformer: Any
    modality: Modality = "table"
    supervised: bool = False
    cost: float = 100.0

    def __post_init__(self) -> None:
        _check_name(self.name)

    def learn(self, rows: Any, y: IntArray) -> Guarded:
        """Clone and fit the transformer."""
        from sklearn.base import clone

        image = self.modality == "image"
        transformer = called("embedding", self.name, "being cloned", clone, self.transformer)
        labels = (y,) if self.supervised else ()
        called(
            "embedding",
            self.name,
            "being fitted",
            transformer.fit,
            flat_pixels(rows) if image else rows,
            *labels,
        )
        function = OfImages(flat_pixels, transformer.transform) if image else transformer.transform
        return Guarded.probed(self.name, function, rows)


@dataclass(frozen=True, slots=True)
class OfImages:
    """Gives images to a function in another form."""

    form: Callable[[Any], Any]
    function: Callable[[Any], Any]

    def __call__(self, images: Any) -> Any:
        """Call the function."""
        return self.function(self.form(images))
