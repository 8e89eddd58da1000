"""The header of a block: enough of its records to know whether the block must be opened."""

from collections.abc import Collection
from dataclasses import dataclass
from json import dumps, loads
from operator import add

from batchpool.ledger.blocks.columns import Columns, count_states


@dataclass(frozen=True)
class BlockHead:
    """What stands beside a block as JSON, which no script reads.

    `epoch` wrote it; `first` and `last` are its least and greatest index. `counts` are its records
    by state; times are nanoseconds, `start_ns` of the first start and `end_ns` of the last end
    since the start of the epoch. These are None in what was written before they were known.
    `logs` is how many of them have a log.
    """

    epoch: int
    first: int
    last: int
    counts: dict[str, int] | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    wall_ns: int | None = None
    cpu_ns: int | None = None
    logs: int = 0

    @classmethod
    def of(cls, epoch: int, made: Columns, epoch_start_ns: int, logs: int = 0) -> "BlockHead":
        """The header of a block of these outcomes.

        Args:
            epoch_start_ns: on the monotonic clock of the machine that made the outcomes.
        """
        return cls(
            epoch=epoch,
            first=made.indices[0],
            last=made.indices[-1],
            counts={str(state): count for state, count in count_states(made).items()},
            start_ns=min(made.starts_ns) - epoch_start_ns,
            end_ns=max(map(add, made.starts_ns, made.walls_ns)) - epoch_start_ns,
            wall_ns=sum(made.walls_ns),
            cpu_ns=sum(made.cpus_ns),
            logs=logs,
        )

    def dump(self) -> str:
        head = {"e": self.epoch, "lo": self.first, "hi": self.last, "n": self.counts}
        times = {"s": self.start_ns, "t": self.end_ns, "w": self.wall_ns, "c": self.cpu_ns}
        logs = {"p": self.logs} if self.logs else {}
        return dumps(head | times | logs, separators=(",", ":"))

    @classmethod
    def parse(cls, text: bytes) -> "BlockHead":
        """Read a header, of former versions too.

        Raises:
            one of `UNPARSABLE`: it is none.
        """
        raw = loads(text)
        counts = raw.get("n")
        times = {name: None if raw.get(name) is None else int(raw[name]) for name in "stwc"}
        return cls(
            epoch=int(raw["e"]),
            first=int(raw["lo"]),
            last=int(raw["hi"]),
            counts=None if counts is None else {str(name): int(n) for name, n in counts.items()},
            start_ns=times["s"],
            end_ns=times["t"],
            wall_ns=times["w"],
            cpu_ns=times["c"],
            logs=int(raw.get("p", 0)),
        )

    def has_any(self, states: Collection[str]) -> bool:
        """Whether a record of one of the states may be in the block."""
        return self.counts is None or any(self.counts.get(state) for state in states)
