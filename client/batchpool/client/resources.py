"""What the client hands out: jobs and their events, as the service told them."""

from dataclasses import dataclass
from typing import Any

TERMINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class Resource:
    """What the service has under way, as it was when it answered; `data` is all of the JSON."""

    data: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.data["id"])

    @property
    def state(self) -> str:
        """queued, running, succeeded, failed or cancelled."""
        return str(self.data["state"])

    @property
    def done(self) -> bool:
        """True once its state can change no more."""
        return self.state in TERMINAL_STATES

    @property
    def succeeded(self) -> bool:
        """True for a job all of whose items succeeded, and for a comparison run to its end."""
        return self.state == "succeeded"


class Job(Resource):
    """A job; `data` is the whole JSON document."""

    @property
    def sum(self) -> int | float:
        """The exact sum of the numbers that tasks returned."""
        total: int | float = self.data["sum"]
        return total

    @property
    def progress(self) -> dict[str, int]:
        """How many items are in which state, and `total`."""
        counts: dict[str, int] = self.data["progress"]
        return counts

    @property
    def finished_items(self) -> int:
        """How many items have come to an end, good or bad."""
        return self.progress["total"] - self.progress["pending"] - self.progress["running"]

    @property
    def timing(self) -> dict[str, Any]:
        """Wall, CPU and queue times in seconds, and the parallelism."""
        times: dict[str, Any] = self.data["timing"]
        return times


@dataclass(frozen=True)
class Event:
    """One Server-Sent Event of a job: `type` is progress, batch, job or end."""

    id: str | None
    type: str
    data: dict[str, Any]
