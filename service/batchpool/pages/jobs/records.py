"""Records of a job: a page of them, filtered by state; pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from batchpool.charts import numbers
from batchpool.charts.share_bar import draw_utilisation
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.model import RECORD_STATES
from batchpool.pages.jobs.progress import done
from batchpool.schemas.job_responses import Progress

MOST_SHOWN = 80
"""Characters of a value in a line of the table."""


@dataclass(frozen=True)
class RecordLine:
    """A record as one line of a table; `value` is code if `is_code`, `use` is SVG."""

    index: int
    state: str
    value: str
    is_code: bool
    worker: str
    pid: str
    epoch: str
    started: str
    wall: str
    cpu: str
    use: str
    seen: str


@dataclass(frozen=True)
class Tab:
    """A filter by state."""

    words: str
    count: str
    href: str
    chosen: bool


@dataclass(frozen=True)
class RecordsView:
    """A page of records.

    Args:
        total: how many there are of the chosen state.
        first_href, next_href: to the first and the next page, None where there is none.
        units: of the columns start, wall and CPU; "" where each cell has its own.
    """

    tabs: tuple[Tab, ...]
    lines: tuple[RecordLine, ...]
    total: int
    state: str | None
    first_href: str | None
    next_href: str | None
    units: tuple[str, str]


def build_records(
    job_id: str,
    progress: Progress,
    found: Sequence[RecordDocument],
    state: str | None,
    cursors: tuple[int, int | None],
) -> RecordsView:
    """A page of the records of a job.

    Args:
        state: the state that they are filtered by.
        cursors: the index from which on they are shown, and that of the next page.
    """
    first, following = cursors
    path = f"/jobs/{job_id}"
    wall_unit, walls = numbers.duration_column([record["wall_s"] for record in found])
    cpu_unit, cpus = numbers.duration_column([record["cpu_s"] for record in found])
    return RecordsView(
        tabs=_tabs(path, progress, state),
        lines=tuple(map(_line, found, walls, cpus)),
        total=getattr(progress, state) if state else done(progress),
        state=state,
        first_href=_href(path, state, 0) if first else None,
        next_href=None if following is None else _href(path, state, following),
        units=(wall_unit, cpu_unit),
    )


def _tabs(path: str, progress: Progress, chosen: str | None) -> tuple[Tab, ...]:
    tabs = [Tab("All", numbers.count(done(progress)), _href(path, None, 0), chosen is None)]
    for state in RECORD_STATES:
        count = getattr(progress, state)
        if count or state in ("succeeded", "failed", chosen):
            href = _href(path, state, 0)
            tabs.append(Tab(state.capitalize(), numbers.count(count), href, chosen == state))
    return tuple(tabs)


def _href(path: str, state: str | None, first: int) -> str:
    query = {name: value for name, value in (("state", state), ("from", first)) if value}
    return f"{path}?{urlencode(query)}#records" if query else f"{path}#records"


def _line(record: RecordDocument, wall: str, cpu: str) -> RecordLine:
    error, value = record["error"], record["value"]
    wall_s, cpu_s, seen = record["wall_s"], record["cpu_s"], record["sum_seen"]
    offset_s = record["offset_s"]
    return RecordLine(
        index=record["index"],
        state=record["state"],
        value=error["type"].rpartition(".")[2] if error else _value(value, MOST_SHOWN),
        is_code=error is not None or not isinstance(value, int | float),
        worker=record["worker"] or numbers.NOTHING,
        pid=str(record["pid"] or numbers.NOTHING),
        epoch=str(record["epoch"] or numbers.NOTHING),
        started=numbers.NOTHING if offset_s is None else f"{offset_s:.3f}",
        wall=wall,
        cpu=cpu,
        use=_computing(cpu_s, wall_s),
        seen=numbers.NOTHING if seen is None else numbers.exact(str(seen)),
    )


def _computing(cpu_s: float | None, wall_s: float | None) -> str:
    if not wall_s or cpu_s is None:
        return ""
    return draw_utilisation(100 * cpu_s / wall_s, 100, "% of the time")


def _value(value: Any, most: int) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        text = numbers.exact(str(value))
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[: most - 1]}…"
