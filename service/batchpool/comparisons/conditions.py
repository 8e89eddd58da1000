"""What a comparison must show: `ARM > 1.5 * ARM`, a claim about the speeds of two arms."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from batchpool.schemas.refusals import FieldError, InvalidFields

_SIDE = r"(?:(?P<{0}_factor>[^*<>=]*)\*)?(?P<{0}>[^*<>=]+)"
_FORM = re.compile(rf"{_SIDE.format('left')}(?P<sign>>=?|<=?){_SIDE.format('right')}", re.ASCII)
_NUMBER = re.compile(r"\d+(\.\d+)?|\.\d+", re.ASCII)
FORM = "ARM > NUMBER * ARM"
CONFIDENCE = 0.99
"""Of the interval that must lie on one side."""


@dataclass(frozen=True)
class Condition:
    """The speed of one arm is more than `least` times that of another one.

    A speed is 1 / wall time, so their ratio is the inverse ratio of the wall times.

    Args:
        text: as it was ordered.
        fast, slow: indices of arms.
        least: the ratio of the speeds, fast / slow, that must be exceeded.
    """

    text: str
    fast: int
    slow: int
    least: float


def read_conditions(texts: Sequence[str], names: Sequence[str]) -> list[Condition]:
    """The conditions, with `names` as those of the arms.

    Raises:
        InvalidFields: one is not of the form, or names no arm; under `fail_unless.INDEX`.
    """
    found, errors = [], []
    for index, text in enumerate(texts):
        try:
            found.append(read_condition(text, names))
        except ValueError as error:
            errors.append(FieldError(f"fail_unless.{index}", str(error)))
    if errors:
        raise InvalidFields(errors)
    return found


def read_condition(text: str, names: Sequence[str]) -> Condition:
    """One condition: `A > B`, or with `<`; a number and `*` may stand before either arm.

    An arm is called by its name, or as it is typed: `process-pool:2` is `process-pool 2`.

    Raises:
        ValueError: with a sentence for the one who wrote it.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"must be of the form {FORM}, got {text[:80]!r}; {_known(names)}")
    left, right = _arm(match["left"], names), _arm(match["right"], names)
    if left == right:
        raise ValueError(f"compares {names[left]!r} with itself")
    left_factor, right_factor = _factor(match["left_factor"]), _factor(match["right_factor"])
    if match["sign"].startswith(">"):
        return Condition(text, left, right, right_factor / left_factor)
    return Condition(text, right, left, left_factor / right_factor)


def _arm(text: str, names: Sequence[str]) -> int:
    called = text.strip()
    if called in names:
        return names.index(called)
    by_type = [_as_typed(name) for name in names]
    if by_type.count(_as_typed(called)) == 1:
        return by_type.index(_as_typed(called))
    raise ValueError(f"unknown arm {called[:80]!r}; {_known(names)}")


def _known(names: Sequence[str]) -> str:
    return f"arms: {', '.join(map(repr, names))}"


def _as_typed(name: str) -> str:
    return "".join(name.replace(":", " ", 1).replace("×", "x").split())


def _factor(text: str | None) -> float:
    if text is None:
        return 1.0
    plain = text.strip()
    number = float(plain) if _NUMBER.fullmatch(plain) else 0.0
    if not (isfinite(number) and 1e-6 <= number <= 1e6):
        raise ValueError(
            f"must have a number from 0.000001 to 1000000 before *, got {plain[:80]!r}"
        )
    return number
