"""Group the failures of a job by type and by the frame of the task's own code; pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from batchpool.json_value import JsonObject
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.model import RecordState

FAILURES: frozenset[RecordState] = frozenset({"failed", "timeout", "crashed"})
"""States of items that ran and failed."""
MOST_READ = 50_000
"""Failures that are grouped; how many more there are is said."""
MOST_GROUPS = 100
MOST_INDICES = 20
MOST_SAMPLES = 3

_FRAME = re.compile(r'^[\s|]*File "(.+)", line (\d+), in (.+)$', re.MULTILINE)
_STACK = re.compile(
    r"^[\s|+]*(?:Exception Group )?Traceback \(most recent call last\):$", re.MULTILINE
)
_FOREIGN = re.compile(r"/(?:site|dist)-packages/|/lib/python3[^/]*/|^<")
"""Files of installed packages, of the standard library, and of no file at all."""


class Frame(NamedTuple):
    """A line of code in a traceback."""

    file: str
    line: int
    function: str


@dataclass
class _Group:
    """Failures of one kind: those with the least indices first, as they are added."""

    error_type: str
    frame: Frame | None
    count: int = 0
    indices: list[int] = field(default_factory=list)
    samples: list[RecordDocument] = field(default_factory=list)

    def add(self, record: RecordDocument) -> None:
        self.count += 1
        if len(self.indices) < MOST_INDICES:
            self.indices.append(record["index"])
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(record)

    def to_json(self) -> JsonObject:
        return {
            "type": self.error_type,
            "frame": self.frame._asdict() if self.frame else None,
            "count": self.count,
            "indices": self.indices,
            "samples": [
                {name: record[name] for name in ("index", "state", "batch", "worker", "error")}
                for record in self.samples
            ],
        }


def show_failures(records: Iterable[RecordDocument], total: int) -> JsonObject:
    """The failures of a job as `GET /v1/jobs/{id}/errors` shows them, the largest group first.

    Args:
        records: of items that failed, by index, at most `MOST_READ`.
        total: how many there are.
    """
    groups: dict[tuple[str, Frame | None], _Group] = {}
    grouped = 0
    for record in records:
        cause = cause_of(record)
        grouped += 1
        groups.setdefault(cause, _Group(*cause)).add(record)
    ordered = sorted(groups.values(), key=lambda group: (-group.count, group.indices))
    return {
        "total": total,
        "grouped": grouped,
        "groups": [group.to_json() for group in ordered[:MOST_GROUPS]],
        "groups_total": len(ordered),
    }


def cause_of(record: RecordDocument) -> tuple[str, Frame | None]:
    """The type of the error of a failed item, and where it was raised."""
    error = record["error"]
    error_type = error["type"] if error else record["state"]
    return error_type, own_frame(error["traceback"] if error else None)


def own_frame(traceback: str | None) -> Frame | None:
    """The last frame of the task's own code in what was raised last; of any code if it has none."""
    stack = _STACK.split(traceback or "")[-1]
    frames = [Frame(file, int(line), name) for file, line, name in _FRAME.findall(stack)]
    own = [frame for frame in frames if not _FOREIGN.search(frame.file)]
    found = own or frames
    return found[-1] if found else None
