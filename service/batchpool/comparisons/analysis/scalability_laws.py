"""Amdahl's law and the Universal Scalability Law, fitted to times at several concurrencies."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Law = Literal["amdahl", "usl"]
_Row = tuple[float, ...]
_NO_CROSSTALK = 1e-6
"""Below it, crosstalk shows only with a thousand slots or more."""


@dataclass(frozen=True)
class Fit:
    """Time at concurrency N: `alone_s` / N × (1 + serial (N - 1) + crosstalk N (N - 1)).

    `serial` is the share that cannot overlap (sigma in the literature), `crosstalk` what every
    pair of slots costs each other (kappa); Amdahl's law is the case without it. `error` is the
    root mean square of the relative errors.
    Source: Gunther, Guerrilla Capacity Planning (2007), chapters 4-6.
    """

    alone_s: float
    serial: float
    crosstalk: float
    error: float = 0.0

    def time_s(self, slots: float) -> float:
        """The predicted time of a run."""
        slower = 1 + self.serial * (slots - 1) + self.crosstalk * slots * (slots - 1)
        return self.alone_s * slower / slots

    @property
    def knee(self) -> float | None:
        """The concurrency at which throughput is highest; None where it keeps rising."""
        if self.crosstalk <= _NO_CROSSTALK:
            return None
        return max(1.0, math.sqrt(max(0.0, 1 - self.serial) / self.crosstalk))


@dataclass(frozen=True)
class _Case:
    """One set of free parameters, the others being at a bound: N × time = row(N) · solution."""

    row: Callable[[float], _Row]
    fit: Callable[..., Fit]


# N × time = alone + alone·serial (N - 1) + alone·crosstalk N (N - 1), so the solution holds the
# products; with serial = 1 the first two terms are alone·N.
_AMDAHL_CASES = (
    _Case(lambda n: (1, n - 1), lambda alone, serial: Fit(alone, serial / alone, 0)),
    _Case(lambda n: (1,), lambda alone: Fit(alone, 0, 0)),
    _Case(lambda n: (n,), lambda alone: Fit(alone, 1, 0)),
)
_USL_CASES = (
    *_AMDAHL_CASES,
    _Case(
        lambda n: (1, n - 1, n * (n - 1)),
        lambda alone, serial, crosstalk: Fit(alone, serial / alone, crosstalk / alone),
    ),
    _Case(lambda n: (1, n * (n - 1)), lambda alone, crosstalk: Fit(alone, 0, crosstalk / alone)),
    _Case(lambda n: (n, n * (n - 1)), lambda alone, crosstalk: Fit(alone, 1, crosstalk / alone)),
)


def fit(law: Law, slots: Sequence[float], times_s: Sequence[float]) -> Fit:
    """Least squares of relative errors, with 0 <= serial <= 1 and crosstalk >= 0.

    The bounds are kept by solving each case in which some of the parameters are at a bound, and
    taking the best solution that violates none.

    Args:
        slots: distinct, at least 2 for Amdahl's law and 3 for the USL.
        times_s: of a run, at each of `slots`.
    """
    found = []
    for case in _AMDAHL_CASES if law == "amdahl" else _USL_CASES:
        solution = _least_squares([case.row(n) for n in slots], slots, times_s)
        if solution is not None and solution[0] > 0:
            fitted = case.fit(*solution)
            if 0 <= fitted.serial <= 1 and fitted.crosstalk >= 0:
                found.append(replace(fitted, error=_error(fitted, slots, times_s)))
    return min(found, key=lambda fitted: fitted.error)


def _error(fitted: Fit, slots: Sequence[float], times_s: Sequence[float]) -> float:
    errors = [fitted.time_s(n) / t - 1 for n, t in zip(slots, times_s, strict=True)]
    return math.sqrt(sum(error * error for error in errors) / len(errors))


def _least_squares(
    rows: Sequence[_Row], slots: Sequence[float], times_s: Sequence[float]
) -> _Row | None:
    """Solve row · x = N × t, each row weighted by 1 / (N × t); None if x is not unique."""
    weighted = [
        [value / (n * t) for value in row] for row, n, t in zip(rows, slots, times_s, strict=True)
    ]
    # The normal equations, with the right-hand side as the last column: it is 1 in each row.
    size = len(rows[0])
    table = [
        [
            *(sum(row[i] * row[j] for row in weighted) for j in range(size)),
            sum(row[i] for row in weighted),
        ]
        for i in range(size)
    ]
    return _eliminate(table)


def _eliminate(table: list[list[float]]) -> _Row | None:
    """Solve linear equations by Gauss-Jordan elimination with partial pivots."""
    size = len(table)
    for column in range(size):
        pivot = max(range(column, size), key=lambda r: abs(table[r][column]))
        if abs(table[pivot][column]) < 1e-14:
            return None
        table[column], table[pivot] = table[pivot], table[column]
        table[column] = [value / table[column][column] for value in table[column]]
        for row in range(size):
            if row != column:
                factor = table[row][column]
                table[row] = [
                    a - factor * b for a, b in zip(table[row], table[column], strict=True)
                ]
    return tuple(row[-1] for row in table)
