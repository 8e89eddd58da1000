"""Resources that the client returns: Job, Event and their base class."""

from dataclasses import dataclass
from typing import Any

from batchpool.json_value import JsonObject

TERMINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, repr=False)
class Resource:
    """A snapshot of a job or comparison; `data` is the whole JSON document."""

    data: JsonObject

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.data.get('id')} {self.data.get('state')}>"

    @property
    def id(self) -> str:
        """The id."""
        return str(self.data["id"])

    @property
    def state(self) -> str:
        """queued, running, succeeded, failed or cancelled."""
        return str(self.data["state"])

    @property
    def done(self) -> bool:
        """True once the state is terminal."""
        return self.state in TERMINAL_STATES

    @property
    def succeeded(self) -> bool:
        """True for a job whose items all succeeded, and for a comparison that was completed."""
        return self.state == "succeeded"


class Job(Resource):
    """A job; `data` is the whole JSON document."""

    @property
    def sum(self) -> int | float | None:
        """The exact sum of the numbers that tasks returned; None if none was a number."""
        total: int | float | None = self.data["sum"]
        return total

    def __repr__(self) -> str:
        done = f"{self.finished_items}/{self.progress['total']}"
        return f"<Job {self.id} {self.state} {done} items, sum {self.sum}>"

    @property
    def progress(self) -> dict[str, int]:
        """Number of items by state, and `total`."""
        counts: dict[str, int] = self.data["progress"]
        return counts

    @property
    def finished_items(self) -> int:
        """Number of items that have ended, in any state."""
        return self.progress["total"] - self.progress["pending"] - self.progress["running"]

    @property
    def timing(self) -> JsonObject:
        """Wall, CPU and queue times in seconds, and the parallelism."""
        times: JsonObject = self.data["timing"]
        return times


@dataclass(frozen=True)
class Event:
    """One Server-Sent Event of a job: `type` is progress, batch, job or end."""

    id: str | None
    type: str
    data: JsonObject
