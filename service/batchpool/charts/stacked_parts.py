"""Where the time of each arm went: a stacked bar per arm, all on one axis of seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from batchpool.charts import numbers
from batchpool.charts.scales import LinearScale, time_ticks
from batchpool.charts.svg import Caption, Table, chart, path, rectangle, text, vertical
from batchpool.charts.visible_text import shortened

PARTS: Final = (
    ("startup", "load and start-up"),
    ("dispatch", "dispatch"),
    ("cpu", "computing"),
    ("wait", "waiting"),
    ("contention", "held up"),
    ("idle", "idle, closing"),
    ("unknown", "not split"),
)
"""Class and words of each part, in the order of every bar."""

_NARROW = 480
_LEAST_LABELLED_PX = 34


@dataclass(frozen=True)
class ArmParts:
    """One arm: its wall time, and the seconds of it that each of `PARTS` took (0 if unnamed)."""

    name: str
    wall_s: float
    parts: dict[str, float]

    def seconds(self, part: str) -> float:
        """The seconds of a part."""
        return max(0.0, self.parts.get(part, 0.0))


def draw(arms: Sequence[ArmParts], width: int = 560) -> str:
    """A bar per arm; where it is narrow the name stands above its bar."""
    is_narrow = width < _NARROW
    row = 46 if is_narrow else 34
    longest = max((len(arm.name) for arm in arms), default=0)
    gutter = 0 if is_narrow else min(200, longest * 6.8 + 14)
    bottom = row * len(arms) + 4
    longest_s = max((_drawn_s(arm) for arm in arms), default=0.0) * 1.02
    scale = LinearScale(0, longest_s, gutter, width - 62)
    body = ""
    for tick in time_ticks(0, longest_s, wanted=5):
        body += path("grid", vertical(scale(tick.value), 0, bottom))
        body += text(scale(tick.value), bottom + 15, tick.label, "mid" if tick.value else "")
    for at, arm in enumerate(arms):
        top = row * at + (20 if is_narrow else 8)
        name_y = top - 6 if is_narrow else top + 15
        body += text(0, name_y, shortened(arm.name, (width if is_narrow else gutter) - 8), "t1 t12")
        body += _bar(arm, scale, top)
    described = "; ".join(f"{arm.name}: {_parts_in_words(arm)}" for arm in arms)
    caption = Caption("Where the time of each arm went", f"Seconds of each part. {described}.")
    return chart("chart parts", (width, bottom + 20), body, caption)


def table(arms: Sequence[ArmParts]) -> Table:
    """Wall time and parts of each arm, in seconds."""
    columns = [
        numbers.duration_column([arm.wall_s for arm in arms]),
        *(numbers.duration_column([arm.seconds(part) for arm in arms]) for part, _ in PARTS),
    ]
    words = ("Whole", *(words.capitalize() for _, words in PARTS))
    header = tuple(
        f"{word}, {unit}" if unit else word for word, (unit, _) in zip(words, columns, strict=True)
    )
    rows = tuple((arm.name, *(cells[at] for _, cells in columns)) for at, arm in enumerate(arms))
    return Table("Where the time went", ("Arm", *header), rows, figures=len(header))


def _drawn_s(arm: ArmParts) -> float:
    return max(arm.wall_s, sum(arm.seconds(part) for part, _ in PARTS))


def _bar(arm: ArmParts, scale: LinearScale, top: float) -> str:
    body, at_s = "", 0.0
    for part, _ in PARTS:
        seconds = arm.seconds(part)
        x, wide = scale(at_s), scale.width(seconds)
        if wide > 0.3:
            size = (max(0.6, wide - 0.8), 21)
            body += rectangle(part, x, top, size, 1.5)
            body += rectangle("hatchheld", x, top, size, 1.5) if part == "contention" else ""
            body += _share(part, seconds / (arm.wall_s or 1), x + wide / 2, top, wide)
        at_s += seconds
    return body + text(scale(at_s) + 8, top + 15, numbers.duration(arm.wall_s), "t2")


def _share(part: str, share: float, x: float, top: float, wide: float) -> str:
    """The percentage on a part that is wide enough; hatched parts get a plain ground below it."""
    if wide <= _LEAST_LABELLED_PX or part not in ("cpu", "contention"):
        return ""
    ground = rectangle(part, x - 17, top + 3, (34, 15), 2) if part == "contention" else ""
    kind = "ontop mid" if part == "cpu" else "ondark mid"
    return ground + text(x, top + 14.5, numbers.percent(round(share, 2)), kind)


def _parts_in_words(arm: ArmParts) -> str:
    shares = [
        f"{words} {numbers.percent(round(arm.seconds(part) / arm.wall_s, 2))}"
        for part, words in PARTS
        if arm.wall_s and arm.seconds(part) >= 0.005 * arm.wall_s
    ]
    return ", ".join([numbers.duration(arm.wall_s), *shares])
