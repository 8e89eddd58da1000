"""Messages between a worker and its runner, over a socket pair.

Assignments are pickled; what the runner sends back is JSON, see `messages`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from batchpool.json_value import JsonValue
from batchpool.ledger.ownership import Claim
from batchpool.ledger.values.announcements import IdlePool, WorkerCapabilities
from batchpool.model import Outcome

PEAK_NAME = "peak"
"""The file in a runner's folder with the peak memory so far."""


def read_peak(folder: Path) -> int | None:
    """The peak in bytes, None when no sample was taken."""
    try:
        text = (folder / PEAK_NAME).read_text()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


ReplyKind = Literal["ended", "ran", "drained", "disowned", "unfit", "stale", "broken"]


@dataclass(frozen=True)
class CrashedItem:
    """An item that was given up: it crashed every process in which it ran alone.

    Args:
        log: what it printed in the last of them.
    """

    index: int
    pid: int
    message: str
    log: str = ""


@dataclass(frozen=True)
class Assignment:
    """A claimed batch, or a part of it, for the runner.

    What ran when a worker died is `skip`ped at first. After a crash the suspects are skipped too,
    and then run alone, one `only` at a time; the batch is closed by a last assignment with `close`.
    """

    claim: Claim
    claimed_ns: int
    """The machine's monotonic clock when the claim was sent."""
    skip: frozenset[int] = frozenset()
    only: frozenset[int] | None = None
    crashed: tuple[CrashedItem, ...] = ()
    close: bool = True
    finished: tuple[Outcome, ...] = ()
    """Records that a former runner made and did not write."""

    @property
    def skipped(self) -> frozenset[int]:
        """The items that are not to be run."""
        claim = self.claim
        if self.only is not None:
            return frozenset(range(claim.first, claim.first + claim.count)) - self.only
        written = {item.index for item in self.crashed}
        written |= {outcome.index for outcome in self.finished}
        return claim.done | self.skip | written if written or self.skip else claim.done


@dataclass(frozen=True)
class RunnerReply(JsonValue):
    """How an assignment ended.

    ended: the batch is closed · ran: done, not closed · drained: stopped taking items as told ·
    disowned: the ledger refused a block · unfit: this worker cannot run it · stale: files of the
    task have changed since it was loaded here · broken: an error in batchpool.
    `must_replace`: a task left something in the runner, which must be replaced;
    `untouched` that no item was recorded.
    """

    kind: ReplyKind
    detail: str = ""
    must_replace: bool = False
    untouched: bool = False
    idle_pools: tuple[IdlePool, ...] = ()
    """Those that are kept for the next batch."""


@dataclass(frozen=True)
class Ready(JsonValue):
    """The runner's first message.

    Without `capabilities` the worker knows those with this `fingerprint` already.
    """

    pid: int
    fingerprint: str
    capabilities: WorkerCapabilities | None = None
