"""Amdahl's law and the Universal Scalability Law, fitted to times at several concurrencies."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Law = Literal["amdahl", "usl"]
_Row = tuple[float, ...]
_NO_CROSSTALK = 1e-6
"""A thousand lanes or more until it shows."""


@dataclass(frozen=True)
class Fit:
    """Time at concurrency N: `alone_s` / N × (1 + serial (N - 1) + crosstalk N (N - 1)).

    `serial` is the share that cannot overlap (sigma in the literature), `crosstalk` what every
    pair of lanes costs each other (kappa); Amdahl's law is the case without it. `error` is the
    root mean square of the relative errors.
    Source: Gunther, Guerrilla Capacity Planning (2007), chapters 4-6.
    """

    alone_s: float
    serial: float
    crosstalk: float
    error: float

    def time_s(self, lanes: float) -> float:
        """The predicted time of a run."""
        slower = 1 + self.serial * (lanes - 1) + self.crosstalk * lanes * (lanes - 1)
        return self.alone_s * slower / lanes

    @property
    def knee(self) -> float | None:
        """The concurrency at which throughput is highest; None where it keeps rising."""
        if self.crosstalk <= _NO_CROSSTALK:
            return None
        return max(1.0, math.sqrt(max(0.0, 1 - self.serial) / self.crosstalk))


def fit(law: Law, lanes: Sequence[float], times_s: Sequence[float]) -> Fit:
    """Least squares of relative errors, with 0 <= serial <= 1 and crosstalk >= 0.

    Time × N is linear in the three parameters. Bounds are kept by solving each case in which
    some of them are reached, and taking the best that breaks none.

    Args:
        lanes: distinct, at least 2 for Amdahl's law and 3 for the USL.
        times_s: of a run, at each of `lanes`.
    """
    cases: list[tuple[Callable[[float], _Row], Callable[[_Row], Fit]]] = [
        (lambda n: (1, n - 1), lambda x: Fit(x[0], _share(x[1], x[0]), 0, 0)),
        (lambda n: (1,), lambda x: Fit(x[0], 0, 0, 0)),
        (lambda n: (n,), lambda x: Fit(x[0], 1, 0, 0)),
    ]
    if law == "usl":
        cases += [
            (
                lambda n: (1, n - 1, n * (n - 1)),
                lambda x: Fit(x[0], _share(x[1], x[0]), _share(x[2], x[0]), 0),
            ),
            (lambda n: (1, n * (n - 1)), lambda x: Fit(x[0], 0, _share(x[1], x[0]), 0)),
            (lambda n: (n, n * (n - 1)), lambda x: Fit(x[0], 1, _share(x[1], x[0]), 0)),
        ]
    found = []
    for row_of, fit_of in cases:
        solved = _least_squares([row_of(n) for n in lanes], list(zip(lanes, times_s, strict=True)))
        if solved is not None and solved[0] > 0:
            found.append(_with_error(fit_of(solved), lanes, times_s))
    return min((each for each in found if _is_allowed(each)), key=lambda each: each.error)


def _share(part: float, whole: float) -> float:
    return part / whole


def _is_allowed(found: Fit) -> bool:
    return 0 <= found.serial <= 1 and found.crosstalk >= 0


def _with_error(found: Fit, lanes: Sequence[float], times_s: Sequence[float]) -> Fit:
    errors = [found.time_s(n) / t - 1 for n, t in zip(lanes, times_s, strict=True)]
    rms = math.sqrt(sum(error * error for error in errors) / len(errors))
    return Fit(found.alone_s, found.serial, found.crosstalk, rms)


def _least_squares(rows: Sequence[_Row], points: Sequence[tuple[float, float]]) -> _Row | None:
    """Solve row · x = N × t, each row weighted by 1 / (N × t); None if it has no one solution."""
    weighted = [
        [value / (n * t) for value in row] for row, (n, t) in zip(rows, points, strict=True)
    ]
    size = len(rows[0])
    table = [
        [sum(row[i] * row[j] for row in weighted) for j in range(size)]
        + [sum(row[i] for row in weighted)]
        for i in range(size)
    ]
    return _eliminate(table)


def _eliminate(table: list[list[float]]) -> _Row | None:
    """Gauss-Jordan with partial pivots."""
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
