"""What the reducers of a job have come to, as lines of a table; pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from batchpool.charts import numbers
from batchpool.schemas.job_responses import Job, Reduced
from batchpool.schemas.reducers import ReducerSpec

FIRST_LINES = 10
"""Lines of one value that are seen at once."""

MOST_FOLDED = 1000
"""Lines below them that can be unfolded; the API has all of them."""

MOST_CHARS = 80


@dataclass(frozen=True)
class ReducedLine:
    """One reducer.

    Args:
        how: what it does, and with which part of the values.
        values: what it has come to, a line each: the first ones.
        folded: those after them.
        fold: how many of how many are shown before they are unfolded.
        notes: what is not in it.
    """

    name: str
    how: str
    values: tuple[str, ...]
    folded: tuple[str, ...]
    fold: str
    notes: tuple[str, ...]


def reduced_lines(job: Job) -> tuple[ReducedLine, ...]:
    """A line for each reducer of the job."""
    return tuple(
        _line(name, job.spec.reduce[name], reduced) for name, reduced in job.reduced.items()
    )


def _line(name: str, spec: ReducerSpec, reduced: Reduced) -> ReducedLine:
    values = [numbers.NOTHING] if reduced.value is None else list(_values(spec.op, reduced.value))
    first, folded = values[:FIRST_LINES], values[FIRST_LINES : FIRST_LINES + MOST_FOLDED]
    total = numbers.count(len(values))
    skipped, notes = reduced.skipped, []
    if skipped.count:
        what = numbers.plural(skipped.count, "value")
        notes.append(f"{what} skipped, the first of item {skipped.first_index}")
    if len(values) > len(first) + len(folded):
        notes.append(f"{numbers.count(len(first) + len(folded))} of {total} shown; the API has all")
    if reduced.overflow:
        notes.append(f"no room for {numbers.plural(reduced.overflow, 'value')}")
    op = f"{spec.op} {spec.k}" if spec.k is not None else spec.op
    return ReducedLine(
        name=name,
        how=f"{op} of {spec.of}" if spec.of else op,
        values=tuple(first),
        folded=tuple(folded),
        fold=f"{FIRST_LINES} of {total} shown; show more",
        notes=tuple(notes),
    )


def _values(op: str, value: Any) -> Iterator[str]:
    if op in ("min", "max"):
        value = [value]
    if op in ("min", "max", "top"):
        yield from (f"{_shown(each['value'])}, item {each['index']}" for each in value)
    elif op == "count_values":
        yield from (f"{_shown(each['value'])}: {numbers.count(each['count'])}" for each in value)
    elif op == "histogram":
        yield from _bins(value)
    else:
        yield _shown(value)


def _bins(value: Any) -> Iterator[str]:
    # What lies outside first: it must not be folded away below a thousand bins.
    bounds, counts = value["bounds"], value["counts"]
    for words, bound, count in (
        ("below", bounds[0], value["below"]),
        ("above", bounds[-1], value["above"]),
    ):
        if count:
            yield f"{words} {_shown(bound)}: {numbers.count(count)}"
    for (low, high), count in zip(pairwise(bounds), counts, strict=True):
        yield f"{_shown(low)} to {_shown(high)}: {numbers.count(count)}"


def _shown(value: Any) -> str:
    text = numbers.exact(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 1]}…"
