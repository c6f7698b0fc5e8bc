"""Fitted scikit-learn classifiers as bytes, without pickle.

The format is skops'. What a file may contain is decided here and nowhere else: scikit-learn's
public classes, which skops trusts, and the fixed list :data:`TRUSTED_TYPES`. A file that names any
other type is refused before anything of it is built.

Trees hold raw node numbers that compiled code follows without looking, so the nodes of every tree
are checked once loaded: a damaged or hostile file gets an error, not the process's end.
"""

from __future__ import annotations

import io
import sys
import threading
import zipfile
from collections.abc import Iterator
from types import ModuleType
from typing import Any, cast

import numpy as np

from easeml_ray.errors import InvalidArgument, StoreError, TooLarge

__all__ = ["MAX_BYTES", "TRUSTED_TYPES", "estimator_from_bytes", "estimator_to_bytes", "open_zip", "skops_io"]

TRUSTED_TYPES = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
)

MAX_BYTES = 2 * 1024**3
"""Most bytes that a container may unpack to."""

_IMPORTING = threading.Lock()
_IMPORTS_TORCH = "sklearn.externals.array_api_compat.torch"


def skops_io() -> Any:
    """Import skops' reader and writer, and not torch with them."""
    # While it is imported, skops has scikit-learn walk through all its packages. One of them imports torch,
    # seconds and hundreds of MiB, and is left out of what the walk finds. None in its place makes its import
    # fail, which the walk passes over.
    with _IMPORTING:
        if "skops.io" not in sys.modules and _IMPORTS_TORCH not in sys.modules:
            sys.modules[_IMPORTS_TORCH] = cast(ModuleType, None)
            try:
                import skops.io
            finally:
                del sys.modules[_IMPORTS_TORCH]
    import skops.io

    return skops.io


def estimator_to_bytes(estimator: Any) -> bytes:
    """Write a fitted classifier in skops' format; InvalidArgument if it holds types that are not trusted."""
    skops = skops_io()
    try:
        data: bytes = skops.dumps(estimator)
        untrusted = sorted(set(skops.get_untrusted_types(data=data)) - set(TRUSTED_TYPES))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"a {type(estimator).__name__} cannot be stored: {error}", argument="estimator"
        ) from error
    if untrusted:
        raise InvalidArgument(
            f"a {type(estimator).__name__} holds types that are not trusted: {', '.join(untrusted)}",
            hint="an arm builds its classifier from scikit-learn's public classes",
            argument="estimator",
        )
    return data


def estimator_from_bytes(data: bytes, *, n_features: int) -> Any:
    """Read a fitted classifier that will be given `n_features` features.

    StoreError if the bytes are damaged, name a type that is not trusted, hold a tree that leads out of
    itself, or a classifier of another width; TooLarge if they unpack to more than :data:`MAX_BYTES`.
    """
    skops = skops_io()
    from skops.io.exceptions import UntrustedTypesFoundException

    # For its checks only: skops reads the members itself.
    open_zip(data).close()
    try:
        estimator = skops.loads(data, trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise StoreError(
            f"the stored model is refused: {str(error).splitlines()[0]}",
            hint="only models that easeml_ray has trained are loaded; train it again",
        ) from error
    except Exception as error:
        # The file decides what is called while it is read, so anything may be raised.
        raise _damaged(f"{type(error).__name__}: {error}") from error
    if not callable(getattr(estimator, "predict_proba", None)):
        raise _damaged(f"a {type(estimator).__name__} gives no probabilities")
    expected = getattr(estimator, "n_features_in_", n_features)
    if expected != n_features:
        raise _damaged(f"it takes {expected} features, not {n_features}")
    for part in _parts(estimator):
        _check_nodes(part, n_features)
    return estimator


def open_zip(data: bytes) -> zipfile.ZipFile:
    """Open a zip file that unpacks to :data:`MAX_BYTES` at most; StoreError if it is none, TooLarge beyond.

    Reading one of its members never yields more than that member declares.
    """
    try:
        container = zipfile.ZipFile(io.BytesIO(data))
    except Exception as error:
        # What damaged bytes raise depends on where they are damaged.
        raise _damaged(f"{type(error).__name__}: {error}") from error
    size = sum(member.file_size for member in container.infolist())
    if size > MAX_BYTES:
        raise TooLarge(
            f"the stored model unpacks to {size} bytes, more than {MAX_BYTES}", limit=MAX_BYTES, size=size
        )
    return container


def _damaged(reason: str) -> StoreError:
    return StoreError(f"the stored model cannot be read: {reason}", hint="train the model again")


def _parts(root: Any) -> Iterator[Any]:
    """Yield every object that an estimator consists of, itself first."""
    waiting, seen = [root], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set):
            waiting.extend(part)
        elif isinstance(part, np.ndarray):
            waiting.extend(part.ravel().tolist() if part.dtype == object else [])
        elif type(part).__module__.startswith("sklearn."):
            waiting.extend(getattr(part, "__dict__", {}).values())


def _check_nodes(part: Any, n_features: int) -> None:
    """Refuse a tree with a node that leads back, out of the tree, or to a feature that is not there."""
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree._tree import Tree

    if isinstance(part, Tree):
        left, right, feature = part.children_left, part.children_right, part.feature
        leaf = (left == -1) & (right == -1)
    elif isinstance(part, TreePredictor):
        nodes = part.nodes
        left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
        feature, leaf = nodes["feature_idx"], nodes["is_leaf"] != 0
        sets = nodes["bitset_idx"][~leaf & (nodes["is_categorical"] != 0)]
        if sets.size and sets.max() >= min(len(part.raw_left_cat_bitsets), len(part.binned_left_cat_bitsets)):
            raise _damaged("a tree uses categories that are not there")
    else:
        return
    # Both builders number children after their parent, so every walk comes to an end.
    number = np.arange(left.size)
    sound = (left > number) & (right > number) & (left < left.size) & (right < left.size)
    if not left.size or not (leaf | (sound & (feature >= 0) & (feature < n_features))).all():
        raise _damaged("a tree has a node that leads out of it")
