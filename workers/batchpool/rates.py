"""Rates of tasks: how many of their items may begin in a time."""

import re
from typing import NamedTuple

_RATE = re.compile(r"([1-9][0-9]{0,5})/(s|min|h)")
_UNIT_S = {"s": 1, "min": 60, "h": 3600}
_MARGIN = 0.05
_LATE_S = 0.05
RATE_PATTERN = f"^{_RATE.pattern}$"


class Pace(NamedTuple):
    """The distance between the tokens of a rate, and how late a token may be used, in seconds.

    A rate of N in a unit of time never begins more than N items in such a time, wherever it begins:
    tokens are 1.05 units / N apart, and the lateness is at most 0.05 units, so that those which can
    be used in one unit are less than 1.05 units apart.
    """

    spacing_s: float
    late_s: float


def pace_of(rate: str) -> Pace:
    """How items begin at a rate.

    Raises:
        ValueError: it is no rate.
    """
    unit_s, items = _parse(rate)
    spacing_s = unit_s * (1 + _MARGIN) / items
    return Pace(spacing_s, min(unit_s * _MARGIN, max(_LATE_S, spacing_s)))


def interval_of(rate: str) -> float:
    """The seconds for each item at a rate as `10/s`, `30/min` or `100/h`.

    Raises:
        ValueError: it is no rate.
    """
    unit_s, items = _parse(rate)
    return unit_s / items


def _parse(rate: str) -> tuple[float, int]:
    found = _RATE.fullmatch(rate)
    if found is None:
        raise ValueError("must be a rate as '10/s', '30/min' or '100/h', at most 999999")
    return _UNIT_S[found[2]], int(found[1])
