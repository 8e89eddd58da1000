"""What passes between a worker and its runner, over a socket pair of their own.

Messages are pickled: both ends are this very program, and nothing from Redis is sent so.
"""

from dataclasses import dataclass, field
from typing import Literal

from workers.ledger.ownership import Claim

Verdict = Literal["ended", "ran", "drained", "disowned", "unfit", "broken"]


@dataclass(frozen=True)
class Crashed:
    """An item that is given up: it ended, alone, every process that it ran in."""

    index: int
    pid: int
    message: str


@dataclass(frozen=True)
class Assignment:
    """A claimed batch, or a part of it, for the runner.

    After a crash the suspects are `skip`ped at first and then run alone, one `only` at a time;
    the batch is closed by a last assignment with `close`.
    """

    claim: Claim
    claimed_ns: int
    """The machine's monotonic clock when the claim was sent."""
    skip: frozenset[int] = frozenset()
    only: frozenset[int] | None = None
    crashed: tuple[Crashed, ...] = ()
    close: bool = True


@dataclass(frozen=True)
class Answer:
    """What became of an assignment.

    ended: the batch is closed · ran: done, not closed · drained: stopped taking items as told ·
    disowned: the ledger refused us · unfit: this worker cannot run it · broken: a bug of ours.
    `spent` says that the runner must be replaced: a task left something in it.
    """

    verdict: Verdict
    detail: str = ""
    spent: bool = False


@dataclass(frozen=True)
class Ready:
    """The runner's first message."""

    pid: int
    class_document: dict[str, object] = field(default_factory=dict)
