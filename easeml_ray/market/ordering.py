"""Compiled: rows of one development row in the order of their distances, and the values that follow from it.

Symbols
-------
n = train rows, d = features, T = development rows of a block; X (n, d), Z (T, d) as given
s = squared distances less the development row's own square, from a matrix product, (T, n)
B = bound of what rounding may have done to s and to direct differences; ``window = 2 B``
a = match of each train row with the development row, 0 or 1, (n,)
K = neighbours that vote, C = classes
phi = values; see :mod:`easeml_ray.market.shapley`
y, labels = class codes of train and development rows, (n,), (T,)
low, high = smallest and largest s of each development row, (T,)

A matrix product is the quick way to distances, but rounds differently from row to row. Rows whose s
differ by more than the window are in the order of their direct differences; the others stand in chains,
and are ordered anew by direct differences, ties to the smaller index. A chain whose rows all have the
same a needs none of that: exchanging two such neighbours changes no value.

Rows are sorted as whole numbers, which hold s in equal steps between the nearest and the farthest, the
row and its match: by two digits that tell nearly all rows apart, the minor one first, then what agrees
in both by insertion.

The compiler's cache of a function looks at one file only, the function's own: a part in another could be
changed, and the old code would run on. All that is compiled into these four stays here.

References
----------
D. E. Knuth, "The Art of Computer Programming", vol. 3, 1998, section 5.2.5: sorting by digits.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.compiling import may_keep

__all__ = ["add_exact", "add_truncated", "kept_of_each", "nearest_rows"]

SmallArray = NDArray[np.int32]

CROWDED = 32  # keys that agree in both digits from which another sort is quicker than insertion
MANY = 1 << 17  # rows from which keys are dealt out to piles before they are sorted
PILES = 9  # bits that they are dealt out by
MOST_STEPS = 50  # bits of s that a key holds; float64 has no more to give once they are multiplied
SAMPLE = 1024  # rows that are looked at to guess how far the nearest reach


entrance = njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, cache=may_keep(__file__))
part = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@entrance
def add_exact(
    s: FloatArray,
    low: FloatArray,
    high: FloatArray,
    window: FloatArray,
    X: FloatArray,
    Z: FloatArray,
    y: IntArray,
    labels: IntArray,
    k: int,
    soft_classes: int,
    values: FloatArray,
) -> None:
    """Add the values of all rows to `values`, (n,); soft_classes : C for ``soft``, 0 for ``jia``."""
    n = s.shape[1]
    packed, loose, counts = _room(n)
    step = np.empty(n + 1)
    share = np.empty(n + 1)
    for i in range(1, n + 1):
        share[i] = 1.0 / max(k, i)
        step[i] = 1.0 / (i * max(i - 1.0, 1.0))
    factor = np.empty(n if soft_classes else 0)
    _soft_factors(factor, k)
    mask = _mask(n)
    for t in range(s.shape[0]):
        width = _sort(s[t], low[t], high[t], y, labels[t], packed, loose, counts)
        _mend_ties(packed, _gap(window[t], width), False, X, Z[t])
        if soft_classes:
            _add_soft(packed, k, soft_classes, factor, values)
        else:
            behind = 0.0
            for i in range(n, k, -1):
                row, hit = (packed[i - 1] & mask) >> 1, packed[i - 1] & 1
                values[row] += share[i] * hit - behind
                behind += step[i] * hit
            for i in range(min(n, k), 0, -1):
                row, hit = (packed[i - 1] & mask) >> 1, packed[i - 1] & 1
                values[row] += share[i] * hit - behind


@part
def _bits(n: int) -> int:
    """Return how many bits a row's index takes."""
    bits = 1
    while (1 << bits) < n:
        bits += 1
    return bits


@part
def _mask(n: int) -> int:
    """Return the bits of a key that tell its row and match."""
    return int((np.int64(2) << _bits(n)) - 1)


@part
def _digit(n: int) -> int:
    """Return how many bits a pass sorts by: two passes leave few rows unsorted, and counts fit the cache."""
    return 8 if n > MANY else int((_bits(n) + 8) // 2)


@part
def _room(n: int) -> tuple[IntArray, IntArray, SmallArray]:
    """Return memory for keys, keys before they are sorted, and the counts of two digits."""
    return np.empty(n, np.int64), np.empty(n, np.int64), np.empty((2, (1 << _digit(n)) + 1), np.int32)


@part
def _sort(
    s: FloatArray,
    low: float,
    high: float,
    y: IntArray,
    label: int,
    packed: IntArray,
    loose: IntArray,
    counts: SmallArray,
) -> float:
    """Write keys in ascending order: (s in whole steps, row, match), at most 62 bits together."""
    # Returns the width of a step, in units of s, times the keys that a step has.
    n = s.shape[0]
    shift = _bits(n) + 1
    steps = min(62 - shift, MOST_STEPS)
    scale = (2.0**steps - 1.0) / (high - low) if high > low else 0.0
    if not scale < 1e300:
        scale = 0.0
    digit = _digit(n)
    top = steps + shift
    for j in range(n):
        packed[j] = (np.int64((s[j] - low) * scale) << shift) | (j << 1) | np.int64(y[j] == label)
    if n <= MANY:
        first = top - 2 * digit
        _two_digits(packed, loose, first, digit, counts)
    else:
        # So many keys are dealt out first, to piles that fit the cache.
        deal = top - PILES
        piles = np.zeros((1 << PILES) + 1, np.int64)
        for j in range(n):
            piles[(packed[j] >> deal) + 1] += 1
        for b in range(1 << PILES):
            piles[b + 1] += piles[b]
        ends = piles.copy()
        for j in range(n):
            b = packed[j] >> deal
            loose[ends[b]] = packed[j]
            ends[b] += 1
        packed[:] = loose
        first = deal - 2 * digit
        for b in range(1 << PILES):
            pile = slice(piles[b], piles[b + 1])
            _two_digits(packed[pile], loose[pile], first, digit, counts)
    begin = 0
    for i in range(1, n + 1):
        # Keys that agree in both digits are still in the order of their rows.
        if i < n and packed[i] >> first == packed[begin] >> first:
            continue
        if i - begin > 1:
            if i - begin < CROWDED:
                _insert(packed, begin, i)
            else:
                _merge(packed[begin:i], loose[begin:i])  # what is carried along is of no use
        begin = i
    return float(2.0**shift * scale)


@part
def _two_digits(keys: IntArray, scratch: IntArray, first: int, digit: int, counts: SmallArray) -> None:
    """Sort keys by their two digits from bit `first` on; those that agree stay in the order they have."""
    part_of = (np.int64(1) << digit) - 1
    second = first + digit
    counts[:] = 0
    minor, major = counts[0], counts[1]
    for j in range(keys.shape[0]):
        minor[((keys[j] >> first) & part_of) + 1] += 1
        major[((keys[j] >> second) & part_of) + 1] += 1
    for b in range(1, part_of):
        minor[b + 1] += minor[b]
        major[b + 1] += major[b]
    for j in range(keys.shape[0]):
        b = (keys[j] >> first) & part_of
        scratch[minor[b]] = keys[j]
        minor[b] += 1
    for j in range(keys.shape[0]):
        b = (scratch[j] >> second) & part_of
        keys[major[b]] = scratch[j]
        major[b] += 1


@part
def _insert(packed: IntArray, begin: int, end: int) -> None:
    for i in range(begin + 1, end):
        key = packed[i]
        place = i
        while place > begin and packed[place - 1] > key:
            packed[place] = packed[place - 1]
            place -= 1
        packed[place] = key


@part
def _gap(window: float, width: float) -> int:
    """Return how far apart keys must be to be in the order of their direct differences."""
    return int(min(2.0**61, window * width))


@part
def _mend_ties(packed: IntArray, gap: int, always: bool, X: FloatArray, z: FloatArray) -> None:
    """Order the rows of each chain that does not match alike by direct differences, then by index."""
    n = packed.shape[0]
    wide = gap + (np.int64(6) << _bits(n))  # three steps more: rounding down, rounding, and the row
    i = 1
    while i < n:
        if packed[i] - packed[i - 1] > wide:
            i += 1
            continue
        begin = i - 1
        mixed = np.int64(always)
        while i < n and packed[i] - packed[i - 1] <= wide:
            mixed |= (packed[i] ^ packed[i - 1]) & 1
            i += 1
        if mixed:
            _by_differences(packed[begin:i], n, X, z)


@part
def _by_differences(chain: IntArray, n: int, X: FloatArray, z: FloatArray) -> None:
    rows = chain & _mask(n)
    _merge(rows, chain)
    d2 = np.empty(rows.shape[0])
    for i in range(rows.shape[0]):
        d2[i] = _difference(X[rows[i] >> 1], z)
    _merge(d2, rows)
    chain[:] = rows  # what a key says of s no longer holds, and is not read again


@part
def _merge(keys: FloatArray, rows: IntArray) -> None:
    """Sort keys, equal ones in the order they had, and rows along with them."""
    n = keys.shape[0]
    run = 16
    for begin in range(0, n, run):
        for i in range(begin + 1, min(begin + run, n)):
            key, row = keys[i], rows[i]
            place = i
            while place > begin and keys[place - 1] > key:
                keys[place], rows[place] = keys[place - 1], rows[place - 1]
                place -= 1
            keys[place], rows[place] = key, row
    if n <= run:
        return
    old_keys, old_rows = np.empty_like(keys), np.empty_like(rows)
    while run < n:
        old_keys[:], old_rows[:] = keys, rows
        for begin in range(0, n, 2 * run):
            left, middle = begin, min(begin + run, n)
            right, end = middle, min(begin + 2 * run, n)
            for place in range(begin, end):
                if right == end or (left < middle and old_keys[left] <= old_keys[right]):
                    keys[place], rows[place] = old_keys[left], old_rows[left]
                    left += 1
                else:
                    keys[place], rows[place] = old_keys[right], old_rows[right]
                    right += 1
        run *= 2


@part
def _difference(x: FloatArray, z: FloatArray) -> float:
    """Sum four by four: the same for equal rows, and quicker than one after the other."""
    d = x.shape[0]
    s0 = s1 = s2 = s3 = 0.0
    whole = d - d % 4
    for f in range(0, whole, 4):
        d0, d1, d2, d3 = x[f] - z[f], x[f + 1] - z[f + 1], x[f + 2] - z[f + 2], x[f + 3] - z[f + 3]
        s0 += d0 * d0
        s1 += d1 * d1
        s2 += d2 * d2
        s3 += d3 * d3
    for f in range(whole, d):
        s0 += (x[f] - z[f]) * (x[f] - z[f])
    return (s0 + s1) + (s2 + s3)


@part
def _soft_factors(factor: FloatArray, k: int) -> None:
    """Write ``(H_min(K,n-1) + max(0, (n-1) / max(i,K) - 1)) / (n-1)`` for ranks i below n."""
    n = factor.shape[0]
    h = 0.0
    for m in range(1, min(k, n - 1) + 1):
        h += 1.0 / m
    for i in range(1, n):
        factor[i] = (h + max(0.0, (n - 1.0) / max(i, k) - 1.0)) / (n - 1.0)


@part
def _add_soft(packed: IntArray, k: int, n_classes: int, factor: FloatArray, values: FloatArray) -> None:
    """Add the values of the utility ``soft``, from the farthest row to the nearest."""
    n = packed.shape[0]
    mask = _mask(n)
    matches = 0
    for i in range(n):
        matches += packed[i] & 1
    last = packed[n - 1] & 1
    phi = (last - 1.0 / n_classes) / n
    if n > 1:
        h = 0.0
        for m in range(2, min(k, n) + 1):
            h += 1.0 / m
        phi += (last - (matches - last) / (n - 1.0)) / n * h
    values[(packed[n - 1] & mask) >> 1] += phi
    for i in range(n - 1, 0, -1):
        hit = packed[i - 1] & 1
        phi += (hit - last) * factor[i]
        last = hit
        values[(packed[i - 1] & mask) >> 1] += phi


@part
def _select(values: FloatArray, place: int) -> float:
    """Return the value that would stand at a place if they were sorted; moves them about."""
    low, high = 0, values.shape[0] - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if place <= j:
            high = j
        elif place >= i:
            low = i
        else:
            break
    return float(values[place])


@part
def _nearest(
    s: FloatArray, count: int, window: float, X: FloatArray, z: FloatArray, rows: SmallArray, keys: FloatArray
) -> None:
    """Write the `count` nearest rows to the front of `rows`, in exact order, and their distances to `keys`.

    A sample tells how far they reach about; what is nearer is collected, with all that rounding may hide.
    """
    n = s.shape[0]
    stride = max(1, n // SAMPLE)
    seen = n // stride
    reach = np.inf
    wanted = np.int64(seen * (count / n) * 1.5) + 8
    while True:
        if wanted < seen:
            for i in range(seen):
                keys[i] = s[i * stride]
            reach = _select(keys[:seen], wanted)
        else:
            reach = np.inf
        found = 0
        for j in range(n):
            if s[j] <= reach:
                rows[found] = j
                keys[found] = s[j]
                found += 1
        if found >= count:
            break
        wanted *= 3
    if found > count:
        # The last one's s, and everything that may not be farther.
        edge = _select(keys[:found].copy(), count - 1) + window
        if edge > reach:
            found = 0
            for j in range(n):
                if s[j] <= edge:
                    rows[found] = j
                    found += 1
        else:
            kept = 0
            for i in range(found):
                if keys[i] <= edge:
                    rows[kept] = rows[i]
                    kept += 1
            found = kept
    for i in range(found):
        keys[i] = _difference(X[rows[i]], z)
    _merge(keys[:found], rows[:found])


@entrance
def nearest_rows(
    s: FloatArray, window: FloatArray, X: FloatArray, Z: FloatArray, rows: IntArray, d2: FloatArray
) -> None:
    """Write the nearest rows of each development row, ties to the smaller index, and d2, (T, count)."""
    count = rows.shape[1]
    near = np.empty(s.shape[1], np.int32)
    keys = np.empty(s.shape[1])
    for t in range(s.shape[0]):
        _nearest(s[t], count, window[t], X, Z[t], near, keys)
        rows[t] = near[:count]
        d2[t] = keys[:count]


@entrance
def add_truncated(
    s: FloatArray,
    window: FloatArray,
    X: FloatArray,
    Z: FloatArray,
    y: IntArray,
    labels: IntArray,
    matches: IntArray,
    k: int,
    kept: int,
    far: float,
    values: FloatArray,
    tail: FloatArray,
) -> None:
    """Add the values of the `kept` nearest rows, from k to n - 1, beyond what they would get among the rest.

    matches : (C,) rows of each class, those that only development rows have too; far : the mean of 1/j over
    the ranks of the rest; tail : (C + 1,) what all rows get, for a match with a class and for being there.
    """
    n = s.shape[1]
    near = np.empty(n, np.int32)
    keys = np.empty(n)
    a = np.empty(kept)
    for t in range(s.shape[0]):
        _nearest(s[t], kept, window[t], X, Z[t], near, keys)
        label = labels[t]
        hits = 0
        for i in range(kept):
            a[i] = 1.0 if y[near[i]] == label else 0.0
            hits += int(a[i])
        p = (matches[label] - hits) / (n - kept)
        rest = -p * (far - 1.0 / n)
        behind = p * (1.0 / kept - 1.0 / n) + rest
        for i in range(kept, k, -1):
            values[near[i - 1]] += a[i - 1] * (1.0 / i - far) - behind
            behind += a[i - 1] / (i * (i - 1.0))
        for i in range(k, 0, -1):
            values[near[i - 1]] += a[i - 1] * (1.0 / k - far) - behind
        tail[label] += far
        tail[-1] += rest


@entrance
def kept_of_each(
    s: FloatArray,
    low: FloatArray,
    high: FloatArray,
    window: FloatArray,
    X: FloatArray,
    Z: FloatArray,
    groups: IntArray,
    n_groups: int,
    k: int,
    rows: IntArray,
) -> None:
    """Write the rows that fewer than k nearer rows of the same group precede, nearest first, (T, R)."""
    n = s.shape[1]
    packed, loose, counts = _room(n)
    mask = _mask(n)
    for t in range(s.shape[0]):
        width = _sort(s[t], low[t], high[t], groups, -1, packed, loose, counts)
        _mend_ties(packed, _gap(window[t], width), True, X, Z[t])
        seen = np.zeros(n_groups, np.int64)
        found = 0
        for i in range(n):
            row = (packed[i] & mask) >> 1
            if seen[groups[row]] < k:
                seen[groups[row]] += 1
                rows[t, found] = row
                found += 1
                if found == rows.shape[1]:
                    break
