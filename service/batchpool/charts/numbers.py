"""Figures as text: three digits and the unit that suits, with no line break between the two."""

import re
from collections.abc import Sequence
from math import floor, log10

NO_BREAK = "\u00a0"
THIN = "\u202f"
"""A narrow space that does not break a line: between thousands."""

MINUS = "\u2212"
NOTHING = "\u2013"
"""The text of a figure that does not exist."""

_SHORT_UNITS = ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))
_LONG_UNITS = ((60, "min", 1, "s"), (3600, "h", 60, "min"), (86400, "d", 3600, "h"))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_PERCENT = re.compile(r"(?<=\d) ?%")
_UNIT = re.compile(r"(?<=\d) (?=(?:s|ms|µs|min|h|MiB|GiB|×|CPUs?|items?|rounds?|runs?)(?![\w-]))")
_DECIMAL = re.compile(r"([+-]?)(\d+)(\.\d+)?")


def with_unit(figure: str, unit: str) -> str:
    """`figure` and `unit` with a space at which no line breaks."""
    return f"{figure}{NO_BREAK}{unit}"


def digits(value: float, significant: int = 3) -> str:
    """`value` with at least `significant` digits where it has decimals: 318, 12.4, 2.05, 0.046."""
    if value == 0:
        return "0"
    places = significant - 1 - floor(log10(abs(value)))
    # 9.996 has one digit before its point, its rounded text two.
    places = significant - 1 - floor(log10(abs(round(value, places)) or abs(value)))
    return f"{value:.{max(0, places)}f}".replace("-", MINUS)


def count(value: int) -> str:
    """12345 with thin spaces between thousands."""
    return f"{value:,}".replace(",", THIN).replace("-", MINUS)


def exact(text: str) -> str:
    """A decimal number in full, such as a `sum_text`, with thin spaces between thousands.

    Any other text is returned as it is.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return text
    sign, whole, rest = match.groups()
    thousands = re.sub(r"(?<=\d)(?=(\d{3})+$)", THIN, whole)
    return f"{sign.replace('-', MINUS)}{thousands}{rest or ''}"


def duration(seconds: float | None) -> str:
    """840 µs, 12.4 ms, 2.05 s, 1 min 12 s, 3 h 20 min, 2 d 4 h."""
    if seconds is None:
        return NOTHING
    if seconds < 0:
        return MINUS + duration(-seconds)
    if round(seconds, 9) == 0:
        return with_unit("0", "s")
    if round(seconds, 1) < 60:
        return _short_duration(seconds)
    unit_s, unit, rest_s, rest_unit = next(
        (u for u in reversed(_LONG_UNITS) if round(seconds / u[2]) * u[2] >= u[0]), _LONG_UNITS[0]
    )
    whole, rest = divmod(round(seconds / rest_s), unit_s // rest_s)
    first = with_unit(count(whole), unit)
    return f"{first}{NO_BREAK}{with_unit(str(rest), rest_unit)}" if rest else first


def _short_duration(seconds: float) -> str:
    """Less than a minute: one unit. 999.7 µs is 1.00 ms, since it is rounded first."""
    rounded = float(f"{seconds:.2e}")
    unit_s, unit = next((u for u in reversed(_SHORT_UNITS) if rounded >= u[0]), _SHORT_UNITS[0])
    return with_unit(digits(seconds / unit_s), unit)


def duration_column(seconds: Sequence[float | None]) -> tuple[str, list[str]]:
    """Durations as a column of a table: its unit and its cells, all in this unit.

    The unit is "" where the values differ a thousandfold: then each cell has its own.
    """
    known = [abs(value) for value in seconds if value]
    if not known or max(known) >= 1000 * min(known) or max(known) >= 600:
        return "", [duration(value) for value in seconds]
    unit_s, unit = next((u for u in reversed(_SHORT_UNITS) if max(known) >= u[0]), _SHORT_UNITS[0])
    places = max(0, 2 - floor(log10(max(known) / unit_s)))
    cells = [NOTHING if v is None else f"{v / unit_s:.{places}f}" for v in seconds]
    return unit, [cell.replace("-", MINUS) for cell in cells]


def ratio(value: float | None) -> str:
    """1.89 ×, 0.92 ×, 12.3 ×: a ratio below 10 has two decimals, so that a column lines up."""
    return NOTHING if value is None else with_unit(ratio_figure(value), "×")


def ratio_figure(value: float) -> str:
    """The figure of a ratio without the sign ×."""
    return f"{value:.2f}" if 0.1 <= value < 9.995 else digits(value, 3 if value >= 1 else 2)


def interval(low: float | None, high: float | None) -> str:
    """An interval of ratios: 1.31 – 2.24."""
    if low is None or high is None:
        return NOTHING
    return f"{ratio_figure(low)}{NO_BREAK}{NOTHING}{NO_BREAK}{ratio_figure(high)}"


def percent(share: float | None) -> str:
    """A share of 1: 18 %, 0.4 %; only what is all is 100 %, and only what is nothing 0 %."""
    if share is None:
        return NOTHING
    value = 100 * share
    if value == round(value) or (1 <= value < 99.5) or value > 100:
        return with_unit(f"{value:.0f}".replace("-", MINUS), "%")
    return with_unit(f"{min(99.9, value):.1f}" if value > 1 else digits(value, 1), "%")


def size(n_bytes: float | None) -> str:
    """512 B, 41.3 MiB, 1.50 GiB."""
    if n_bytes is None:
        return NOTHING
    value, unit = float(n_bytes), _SIZES[0]
    for larger in _SIZES[1:]:
        if round(value) < 1000:
            break
        value, unit = value / 1024, larger
    return with_unit(f"{value:.0f}" if unit == "B" else digits(value), unit)


def rate(per_second: float | None, of: str = "items") -> str:
    """11.2 items/s."""
    return NOTHING if per_second is None else with_unit(_grouped(per_second), f"{of}/s")


def _grouped(value: float) -> str:
    return count(round(value)) if value >= 1000 else digits(value)


def tidy(text: str) -> str:
    """A sentence with its figures and units kept together, and a space before %."""
    return _UNIT.sub(NO_BREAK, _PERCENT.sub(f"{NO_BREAK}%", text))


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """1 item, 12 345 items; `nouns` where the plural is not the noun with an s."""
    return with_unit(count(number), noun if number == 1 else nouns or f"{noun}s")
