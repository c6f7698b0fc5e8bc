"""The four pillars: rows parted by entity group, before anything else is done to them.

================  =====================================================================
symbol            meaning, shape
================  =====================================================================
h(g)              sha256(salt + g), the keyed hash of group g, 64 hex digits
s_p               share of pillar p; all shares sum to 1
S_p               s of p and of the pillars before it
n                 number of rows
c_i               rows in the i groups of the smallest hashes (n_groups + 1,)
k_p               cut after pillar p: the i with c_i nearest to n S_p
b_p               bound of pillar p: h of the last group before k_p, all f for the last one
================  =====================================================================

A group goes to the first pillar with h(g) <= b_p, today and for every later row, so an entity
never stands in two pillars. Each cut misses its target by half a group at most, so a pillar
misses its share by less than the largest group.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from easeml_ray.errors import InvalidArgument, TooFewRows
from easeml_ray.messages import Pillar

__all__ = ["PILLARS", "Split", "Thresholds", "assign", "check_classes", "split"]

PILLARS = (Pillar.TRAIN, Pillar.DEVELOPMENT, Pillar.STABLE, Pillar.REALTIME)
"""The pillars in the order of their cuts."""

Thresholds: TypeAlias = tuple[tuple[Pillar, str], ...]
"""(pillar, bound) in the order of the cuts; pillars without a share are left out."""

_TOP = "f" * 64
_CONFIDENCE = 0.99


@dataclass(frozen=True, slots=True)
class Split:
    """Which row stands in which pillar.

    Attributes
    ----------
    codes : int8 ndarray of shape (n_rows,)
        Position of the row's pillar in :data:`PILLARS`.
    thresholds : Thresholds
        What :func:`assign` needs for later groups.
    """

    codes: npt.NDArray[np.int8]
    thresholds: Thresholds

    def positions(self, pillar: Pillar) -> npt.NDArray[np.int64]:
        """Return the positions of a pillar's rows, rising."""
        return np.flatnonzero(self.codes == PILLARS.index(pillar)).astype(np.int64)


def split(
    group_keys: Sequence[str] | pa.StringArray, shares: Mapping[Pillar, float], *, salt: bytes
) -> Split:
    """Part rows into pillars so that each reaches its share of the rows, exact to a group.

    Parameters
    ----------
    group_keys : sequence of str of shape (n_rows,)
        Which entity a row belongs to.
    shares : mapping of Pillar to float
        Parts of the rows; they sum to 1, and one that is left out is 0.
    salt : bytes
        Key of the hash; the same salt gives the same split, whatever the order of the rows.

    Returns
    -------
    Split

    Raises
    ------
    InvalidArgument
        If the shares are no shares, or the salt is empty.
    TooFewRows
        If a pillar with a share would get no row.

    Examples
    --------
    >>> keys = [f"patient {n // 2}" for n in range(200)]
    >>> parts = split(keys, {Pillar.TRAIN: 0.75, Pillar.DEVELOPMENT: 0.25}, salt=b"secret")
    >>> len(parts.positions(Pillar.TRAIN)), len(parts.positions(Pillar.DEVELOPMENT))
    (150, 50)
    >>> assign("patient 0", parts.thresholds, salt=b"secret") is PILLARS[parts.codes[0]]
    True
    """
    parts = _checked_shares(shares)
    _check_salt(salt)
    encoded = pa.array(group_keys, pa.string()).dictionary_encode()
    group_of_row = encoded.indices.to_numpy(zero_copy_only=False)
    hashes = [_hash(key, salt) for key in encoded.dictionary.to_pylist()]
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    sizes = np.bincount(group_of_row, minlength=len(hashes))[order]
    cuts = _cuts(sizes, parts)
    code_of_group = np.empty(len(hashes), np.int8)
    thresholds: list[tuple[Pillar, str]] = []
    begin = 0
    for code, (pillar, share, end) in enumerate(zip(PILLARS, parts, cuts, strict=True)):
        if share > 0:
            if end == begin:
                raise _empty_pillar(pillar, share, len(group_of_row), len(hashes))
            thresholds.append((pillar, hashes[order[end - 1]]))
        code_of_group[order[begin:end]] = code
        begin = end
    thresholds[-1] = (thresholds[-1][0], _TOP)
    return Split(code_of_group[group_of_row], tuple(thresholds))


def assign(group_key: str, thresholds: Thresholds, *, salt: bytes) -> Pillar:
    """Return the pillar of a group, one that was split or one that comes later.

    Thresholds and salt are those of the split.
    """
    _check_salt(salt)
    digest = _hash(group_key, salt)
    for pillar, bound in thresholds:
        if digest <= bound:
            return Pillar(pillar)
    raise InvalidArgument(
        "the thresholds do not reach the top of the hashes",
        hint="Use the thresholds of a split as they are.",
        argument="thresholds",
    )


def check_classes(parts: Split, labels: pa.StringArray, shares: Mapping[Pillar, float]) -> None:
    """Raise TooFewRows if train or development lacks a class, with the entities that would most probably do.

    A pillar without a share is not looked at.
    """
    encoded = labels.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(codes, minlength=len(encoded.dictionary))
    for pillar in (Pillar.TRAIN, Pillar.DEVELOPMENT):
        share = shares.get(pillar, 0.0)
        if share <= 0:
            continue
        present = np.bincount(codes[parts.positions(pillar)], minlength=len(counts))
        for code in np.flatnonzero(present == 0).tolist():
            name, available = encoded.dictionary[code].as_py(), int(counts[code])
            required = max(available + 1, _enough(share))
            raise TooFewRows(
                f"class {name!r} has {available} rows, and none of them came into {pillar.value}",
                hint=f"Give at least {required} rows of it (each of another entity), or leave the class out.",
                required=required,
                available=available,
            )


def _enough(share: float) -> int:
    """Return how many entities leave a pillar of this share without any in 1 of 100 splits."""
    return 1 if share >= 1 else math.ceil(math.log(1 - _CONFIDENCE) / math.log(1 - share))


def _hash(key: str, salt: bytes) -> str:
    return hashlib.sha256(salt + key.encode()).hexdigest()


def _cuts(sizes: npt.NDArray[np.int64], parts: list[float]) -> list[int]:
    """Return for each pillar the number of groups, in order of hash, up to its end."""
    ends = np.concatenate([[0], np.cumsum(sizes)])
    cuts = []
    for target in np.round(np.cumsum(parts) * ends[-1], 6).tolist():
        above = min(int(np.searchsorted(ends, target)), len(ends) - 1)
        nearer_below = above > 0 and target - ends[above - 1] <= ends[above] - target
        cuts.append(above - 1 if nearer_below else above)
    last = max(code for code, share in enumerate(parts) if share > 0)
    # The last pillar takes the rest, so that rounding can lose no row.
    return cuts[:last] + [len(sizes)] * (len(parts) - last)


def _empty_pillar(pillar: Pillar, share: float, n_rows: int, n_groups: int) -> TooFewRows:
    required = max(math.ceil(1 / share), n_rows + 1)
    return TooFewRows(
        f"{n_rows} rows of {n_groups} entities leave {pillar.value} (share {share:g}) without any",
        hint="Give more rows, a larger share, or smaller groups. Where no group and no id column is named, "
        "rows with equal features count as one entity.",
        required=required,
        available=n_rows,
    )


def _check_salt(salt: bytes) -> None:
    if not salt:
        raise InvalidArgument("the salt is empty", hint="Give the project's secret.", argument="salt")


def _checked_shares(shares: Mapping[Pillar, float]) -> list[float]:
    unknown = [name for name in shares if name not in PILLARS]
    if unknown:
        raise _bad_shares(f"{unknown[0]!r} is no pillar")
    parts = [float(shares.get(pillar, 0.0)) for pillar in PILLARS]
    if not all(0 <= share <= 1 for share in parts):
        raise _bad_shares(f"shares {parts} are not all between 0 and 1")
    if abs(sum(parts) - 1) > 1e-9:
        raise _bad_shares(f"the shares sum to {sum(parts):.12g}, not to 1")
    return parts


def _bad_shares(message: str) -> InvalidArgument:
    return InvalidArgument(
        message, hint=f"Give shares of {', '.join(PILLARS)} that sum to 1.", argument="shares"
    )
