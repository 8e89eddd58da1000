"""The Python client of the HTTP API."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from batchpool.client import job_results
from batchpool.client.comparisons import Comparison, Comparisons
from batchpool.client.errors import ApiError
from batchpool.client.executor import JobExecutor
from batchpool.client.follow import LONGEST_WAIT_S, follow_events, wait_ended
from batchpool.client.inventory import Inventory
from batchpool.client.ordered_values import ordered_values
from batchpool.client.orders.bulk import submit_many
from batchpool.client.orders.item_lines import Items
from batchpool.client.orders.submit import Order, submit_job
from batchpool.client.reading import Missing, read_records, read_values, stream_records
from batchpool.client.resources import Event, Job, id_of
from batchpool.client.task_names import task_name
from batchpool.client.transport import Call, Transport, check_seconds, request_body
from batchpool.json_value import JsonObject

DEFAULT_URL = "http://127.0.0.1:8000"


class Client(Inventory):
    """Client of one batchpool service.

    A service that has never answered raises `Unreachable` at once; one that answered before
    is retried for `retry_for_s`, so that callers do not notice a restart of the API.
    That never submits a job twice: each submission carries an idempotency key.
    """

    def __init__(
        self, url: str = DEFAULT_URL, *, retry_for_s: float = 15.0, timeout_s: float = 30.0
    ) -> None:
        self.url = url.rstrip("/")
        self._transport = Transport(self.url, retry_for_s, timeout_s)
        self.comparisons = Comparisons(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # -- jobs

    def submit(
        self,
        task: str,
        *,
        count: int | None = None,
        items: Items | None = None,
        idempotency_key: str | None = None,
        **spec: Any,
    ) -> Job:
        """Submit a job and return it as accepted.

        Args:
            items: any iterable, the path of a file of NDJSON or CSV, or an open file of NDJSON;
                more than 10,000 are sent as lines while they are read. The cells of CSV are text
                unless `columns={"NAME": "number"}` (or `boolean`, `json`) gives a type.
            spec: any other field of `POST /v1/jobs`, e.g. `params`, `concurrency` or `backend`.
        Raises:
            InvalidInput: an item or param is not JSON; `.field` names it.
            InvalidRequest: the service cannot run that; `.fields` names the fields.
        """
        order = Order(task, count, items, spec)
        return self._bound(submit_job(self._transport, order, idempotency_key))

    def dry_run(
        self, task: str, *, count: int | None = None, items: Items | None = None, **spec: Any
    ) -> JsonObject:
        """Plan a job as `submit`, raise what would refuse it, and store nothing."""
        order = Order(task, count, items, spec)
        return dict(submit_job(self._transport, order, dry_run=True))

    def submit_many(
        self, jobs: Iterable[JsonObject], *, idempotency_key: str | None = None
    ) -> list[Job | ApiError]:
        """Submit up to 1,000 jobs in one step; return each as accepted, or why it was refused.

        Args:
            jobs: bodies of `POST /v1/jobs`: `{"task": "echo", "count": 3}`.
        Raises:
            Unavailable: together they are too much for now; none was stored.
        """
        return submit_many(self._transport, jobs, idempotency_key)

    def run(
        self,
        task: str,
        *,
        count: int | None = None,
        items: Items | None = None,
        wait_s: float | None = None,
        **spec: Any,
    ) -> Job:
        """Submit a job and return it once it has ended; a short job takes a single request.

        Args:
            wait_s: the longest wait; the job itself goes on.
            spec: any other field of `POST /v1/jobs`; `timeout_s` is the limit of the job.
        Raises:
            InvalidInput: an item or param is not JSON; `.field` names it.
            InvalidRequest: the service cannot run that; `.fields` names the fields.
            WaitTimeout: it has not ended within `wait_s`.
        """
        check_seconds(wait_s=wait_s)
        begun = time.monotonic()
        poll_s = min(LONGEST_WAIT_S, math.inf if wait_s is None else wait_s)
        order = Order(task, count, items, spec)
        job = self._bound(submit_job(self._transport, order, wait_s=poll_s))
        if job.done:
            return job
        left_s = None if wait_s is None else begun + wait_s - time.monotonic()
        return self.wait(job, left_s)

    def _bound(self, document: JsonObject) -> Job:
        return Job(document, self._transport)

    def job(self, job: Job | str) -> Job:
        """Load the current state of a job."""
        return self._bound(self._transport.json(Call("GET", f"/v1/jobs/{id_of(job)}")))

    def jobs(
        self,
        *,
        state: str | None = None,
        task: str | None = None,
        label: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Iterate over the jobs, newest first, page by page.

        Args:
            label: `NAME=TEXT`: only jobs that have this label.
            limit: the size of a page.
        """
        query = {"state": state, "task": task, "label": label, "limit": limit}
        return map(self._bound, self._transport.pages("/v1/jobs", "jobs", query))

    def wait(self, job: Job | str, wait_s: float | None = None) -> Job:
        """Wait until the job has ended, by long polling, and return it.

        Raises:
            WaitTimeout: it has not ended within `wait_s`.
        """
        what = f"job {id_of(job)}"
        return self._bound(wait_ended(self._transport, f"/v1/jobs/{id_of(job)}", what, wait_s))

    def records(
        self, job: Job | str, states: Sequence[str] = (), fields: Sequence[str] = ()
    ) -> Iterator[JsonObject]:
        """Iterate over the records by item index, as they stream in (bounded memory).

        Args:
            states: only records in one of these states.
            fields: only these fields of each record.
        """
        return read_records(self._transport, id_of(job), states, fields)

    def stream(
        self, job: Job | str, states: Sequence[str] = (), fields: Sequence[str] = ()
    ) -> Iterator[JsonObject]:
        """Iterate over the records as the job makes them, until it has ended.

        Those of one batch come in the order in which they were written. A stream that is cut goes
        on by itself: no record comes twice, and none is missed.

        Raises:
            NotFound: the job was deleted, or has expired.
            Unreachable: the stream was cut, and nothing answered for `retry_for_s`.
        """
        return stream_records(self._transport, id_of(job), states, fields)

    def values(self, job: Job | str, missing: Missing = "fail") -> Iterator[Any]:
        """Iterate over what the tasks returned, by item index, as they stream in.

        Args:
            missing: for items without a value: raise, give None, or leave them out.
        Raises:
            Conflict: items have no value, and `missing` is `fail`.
        """
        return read_values(self._transport, id_of(job), missing)

    def events(self, job: Job | str) -> Iterator[Event]:
        """Iterate over the job's events until it has ended; reconnects when the stream is cut."""
        path = f"/v1/jobs/{id_of(job)}/events"
        return follow_events(self._transport, path, f"job {id_of(job)}")

    def timeline(self, job: Job | str) -> JsonObject:
        """Load when each item ran and where: bars, or bins where they are many."""
        return dict(self._transport.json(Call("GET", f"/v1/jobs/{id_of(job)}/timeline")))

    def report(self, job: Job | str) -> str:
        """Return the report: one HTML file that loads nothing and opens from a disk."""
        path = f"/v1/jobs/{id_of(job)}/report"
        return self._transport.call(Call("GET", path, headers={"Accept": "text/html"})).text

    def cancel(self, job: Job | str) -> Job:
        """Cancel a queued or running job."""
        job_id = id_of(job)
        return self._bound(self._transport.json(Call("POST", f"/v1/jobs/{job_id}/cancel")))

    def retry(self, job: Job | str) -> Job:
        """Submit a new job of the items that did not succeed."""
        return self._bound(job_results.retry(self._transport, id_of(job)))

    def delete(self, job: Job | str) -> None:
        """Delete a job that has ended."""
        job_id = id_of(job)
        self._transport.call(Call("DELETE", f"/v1/jobs/{job_id}"))

    # -- calls

    def map(
        self,
        task: object,
        items: Iterable[Any],
        *,
        return_exceptions: bool = False,
        **spec: Any,
    ) -> Iterator[Any]:
        """Submit a job and iterate over its values in the order of the items, as they arrive.

        Who closes the iterator before its end cancels the job.

        Args:
            task: the name of a task, or a function declared with `@task`.
            return_exceptions: give the exception of an item in place of its value.
            spec: any other field of `POST /v1/jobs`.
        Raises:
            InvalidInput: an item or param is not JSON; `.field` names it.
            InvalidRequest: the service cannot run that; `.fields` names the fields.
            ItemsFailed: items have no value; raised at the first of them, once the job has ended.
        """
        name, given = task_name(task), list(items)
        if not given:
            return iter(())
        job = self.submit(name, items=given, **spec)
        return ordered_values(self._transport, job, return_exceptions=return_exceptions)

    def executor(
        self, task: object | None = None, *, max_jobs: int = 8, **spec: Any
    ) -> JobExecutor:
        """Return a `concurrent.futures.Executor`: `submit(task, item)` runs an item of a job.

        Args:
            task: the only task that it runs; without one, each call names its own.
            max_jobs: jobs under way at once; further calls wait, and can be cancelled.
            spec: any other field of `POST /v1/jobs`, for each of its jobs.
        Raises:
            InvalidInput: a param is not JSON.
        """
        return JobExecutor(self._transport, task, max_jobs, spec)

    # -- comparisons

    def compare(
        self,
        task: str,
        arms: Sequence[Mapping[str, Any]] | None = None,
        *,
        count: int | None = None,
        items: Iterable[Any] | None = None,
        wait_s: float | None = None,
        **spec: Any,
    ) -> Comparison:
        """Submit a comparison and return it once it has ended.

        `self.comparisons` submits without waiting, follows, cancels, lists and exports.

        Args:
            arms: e.g. `{"backend": "thread-pool", "concurrency": 4}`; or give `grid`.
            wait_s: the longest wait; the comparison itself goes on.
            spec: any other field of `POST /v1/comparisons`, e.g. `params`, `rounds`;
                `timeout_s` is the limit of each run.
        Raises:
            InvalidRequest: the service cannot run that; `.fields` names the fields.
            WaitTimeout: it has not ended within `wait_s`.
        """
        check_seconds(wait_s=wait_s)
        ordered = self.comparisons.submit(request_body(task, count, items, spec, arms))
        return self.comparisons.wait(ordered, wait_s)
