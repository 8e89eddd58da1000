"""Rates of tasks: how many of their items may begin in a time."""

import re

_RATE = re.compile(r"([1-9][0-9]{0,5})/(s|min|h)")
_UNIT_S = {"s": 1, "min": 60, "h": 3600}
RATE_PATTERN = f"^{_RATE.pattern}$"


def interval_of(rate: str) -> float:
    """The seconds between two items at a rate as `10/s`, `30/min` or `100/h`.

    Raises:
        ValueError: it is no rate.
    """
    found = _RATE.fullmatch(rate)
    if found is None:
        raise ValueError("must be a rate as '10/s', '30/min' or '100/h', at most 999999")
    return _UNIT_S[found[2]] / int(found[1])
