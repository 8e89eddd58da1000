"""Resources that the client returns: Job, Event and their base class."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from batchpool.client import job_results, reading
from batchpool.client.errors import BatchpoolError, InvalidInput
from batchpool.client.job_html import job_html
from batchpool.client.reading import Missing
from batchpool.client.records_frame import records_frame
from batchpool.client.transport import Transport
from batchpool.json_value import JsonObject

_ID = re.compile(r"[0-9A-Za-z_-]{1,200}", re.ASCII)
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


def id_of(resource: Resource | str) -> str:
    """Return the id of a resource, fit to be a part of a path.

    Raises:
        InvalidInput: it is no id. In a path, nothing or dots would name something else.
    """
    found = resource if isinstance(resource, str) else resource.id
    if not _ID.fullmatch(found):
        raise InvalidInput("id", f"must be letters, digits, - and _, got {found[:80]!r}")
    return found


@dataclass(frozen=True, repr=False)
class Job(Resource):
    """A job; `data` is the whole JSON document."""

    transport: Transport | None = field(default=None, compare=False)
    """How its results are loaded; None for a job that was made of a document alone."""

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
    def reduced(self) -> dict[str, JsonObject]:
        """What each reducer has come to: `value`, `skipped`, `overflow`; partial while it runs."""
        found: dict[str, JsonObject] = self.data.get("reduced", {})
        return found

    @property
    def timing(self) -> JsonObject:
        """Wall, CPU and queue times in seconds, and the parallelism."""
        times: JsonObject = self.data["timing"]
        return times

    def values(self, missing: Missing = "fail", *, merged: bool = False) -> Iterator[Any]:
        """Iterate over what the tasks returned, by item index, as they stream in.

        Args:
            missing: for items without a value: raise, give None, or leave them out.
            merged: of a retry: the values of the first job, by its item index, where those that
                the retries returned stand in the places that had none.
        Raises:
            Conflict: items have no value, and `missing` is `fail`; merged, it is `BatchpoolError`.
        """
        read = job_results.merged_values if merged else reading.read_values
        return read(self._sender(), self.id, missing)

    def logs(self, first: int = 0) -> Iterator[tuple[int, str]]:
        """Iterate over what items printed and logged, as (index, text), from an item on."""
        return reading.read_logs(self._sender(), self.id, first)

    def errors(self) -> list[JsonObject]:
        """Load the failures, grouped by type and place: the groups of `GET /v1/jobs/{id}/errors`.

        Each has the `type`, its `count`, the `frame` of the task's code, the first `indices`, and
        `samples` with message and traceback.
        """
        return job_results.error_groups(self._sender(), self.id)

    def trace(self) -> Iterator[bytes]:
        """Iterate over the parts of a trace of its items, for Perfetto or chrome://tracing."""
        return job_results.read_trace(self._sender(), self.id)

    def retry(self) -> "Job":
        """Submit a new job of the items that did not succeed; `values(merged=True)` has all."""
        return Job(job_results.retry(self._sender(), self.id), self.transport)

    def to_pandas(self) -> Any:
        """Return the records as a `pandas.DataFrame` by item index.

        Raises:
            ImportError: pandas is not installed.
        """
        return records_frame(reading.read_records(self._sender(), self.id))

    def _repr_html_(self) -> str:
        """Show the job in a notebook: one line, and its timeline once items have run."""
        chart = None
        if self.transport is not None:
            with suppress(BatchpoolError):
                chart = job_results.timeline_svg(self.transport, self.id)
        return job_html(repr(self), chart)

    def _sender(self) -> Transport:
        if self.transport is None:
            raise BatchpoolError(
                f"job {self.id} has no client here: client.job({self.id!r}) loads it"
            )
        return self.transport


@dataclass(frozen=True)
class Event:
    """One Server-Sent Event of a job: `type` is progress, batch, job or end."""

    id: str | None
    type: str
    data: JsonObject
