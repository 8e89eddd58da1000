"""Axes: from values to pixels, and the round numbers that stand at their ticks."""

from dataclasses import dataclass
from math import ceil, floor, log, log10

from batchpool.charts import numbers

_TIME_UNITS = (
    (14_400.0, 3600.0, "h"),
    (600.0, 60.0, "min"),
    (0.1, 1.0, "s"),
    (1e-4, 1e-3, "ms"),
    (0.0, 1e-6, "µs"),
)
_FASTER = (2.0, 1.5, 1.25, 3.0, 4.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


@dataclass(frozen=True)
class Tick:
    """A place on an axis: its value, and its label (with the unit at the last tick only)."""

    value: float
    label: str


@dataclass(frozen=True)
class LinearScale:
    """Maps `low` … `high` to the pixels `start` … `end`; an empty span counts as one of 1."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of `value`."""
        span = (self.high - self.low) or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)

    def width(self, span: float) -> float:
        """The pixels that `span`, a difference of two values, takes."""
        return self(self.low + span) - self.start


@dataclass(frozen=True)
class LogScale:
    """Maps `low` … `high` (both > 0) so that 2 × and 0.5 × are equally far from 1 ×."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of `value`, which must be > 0."""
        span = log(self.high / self.low) or 1.0
        return self.start + log(value / self.low) / span * (self.end - self.start)


def round_steps(low: float, high: float, wanted: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most `wanted` steps of 1, 2 or 5 × 10ⁿ apart."""
    if not high > low:
        return [low]
    power = 10.0 ** floor(log10((high - low) / wanted))
    step = next(power * k for k in (1, 2, 5, 10, 20) if (high - low) / (power * k) <= wanted)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    # 3 × 0.1 is 0.30000000000000004.
    return [round(step * k, 12) for k in range(first, last + 1)]


def ticks(low: float, high: float, unit: str = "", wanted: int = 6) -> list[Tick]:
    """Ticks of a linear axis; the unit stands at the last one."""
    values = round_steps(low, high, wanted)
    step = values[1] - values[0] if len(values) > 1 else values[0] or 1.0
    places = max(0, -floor(log10(abs(step)) + 1e-9))
    texts = (f"{value:,.{places}f}".replace(",", numbers.THIN) for value in values)
    labels = (text.replace("-", numbers.MINUS) for text in texts)
    return _unit_at_last([Tick(*each) for each in zip(values, labels, strict=True)], unit)


def time_ticks(
    from_s: float, to_s: float, wanted: int = 8, free: tuple[float, float] | None = None
) -> list[Tick]:
    """Ticks of a time axis, in the unit that suits its span; the values are in seconds.

    Args:
        free: a span of time in which no tick stands, since another label does.
    """
    unit_s, unit = next((u[1], u[2]) for u in _TIME_UNITS if to_s - from_s >= u[0])
    found = (
        Tick(tick.value * unit_s, tick.label)
        for tick in ticks(from_s / unit_s, to_s / unit_s, wanted=wanted)
    )
    low, high = free or (to_s, from_s)
    return _unit_at_last([tick for tick in found if not low <= tick.value <= high], unit)


def ratio_ticks(scale: LogScale, apart_px: float = 42) -> list[Tick]:
    """Ticks of an axis of ratios, at least `apart_px` apart; 1 × is always among them."""
    candidates = [1.0, *(each for value in _FASTER for each in (value, 1 / value))]
    chosen: list[float] = []
    for value in candidates:
        inside = scale.low <= value <= scale.high
        if inside and all(abs(scale(value) - scale(other)) >= apart_px for other in chosen):
            chosen.append(value)
    shown = ((value, f"{value:.2g}" if value < 1 else f"{value:g}") for value in sorted(chosen))
    return [Tick(value, numbers.with_unit(label, "×")) for value, label in shown]


def _unit_at_last(found: list[Tick], unit: str) -> list[Tick]:
    if not found or not unit:
        return found
    last = found[-1]
    return [*found[:-1], Tick(last.value, numbers.with_unit(last.label, unit))]
