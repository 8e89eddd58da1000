"""A `concurrent.futures.Executor` that runs calls of registered tasks as jobs."""

import logging
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any

from batchpool.client.arrivals import Arrivals
from batchpool.client.errors import ApiError, Unavailable, Unreachable
from batchpool.client.gathering import Gathering, TaskCall
from batchpool.client.resources import Job
from batchpool.client.task_errors import item_error
from batchpool.client.task_names import task_name
from batchpool.client.transport import Call, Transport, encode_item, encode_json

LOG = logging.getLogger("batchpool.client")

_OWN_FIELDS = ("task", "count", "items")
_SHORT_JOB_S = 0.02


class JobExecutor(Executor):
    """Runs calls of registered tasks as items of jobs, and delivers each value as it comes.

    Calls that come within some milliseconds are sent as one job. Up to `max_jobs` jobs are under
    way at once; further calls wait, and can be cancelled. An executor whose API is gone is broken:
    its futures, and each later `submit`, raise `BrokenExecutor`.
    """

    def __init__(
        self,
        transport: Transport,
        task: object | None,
        max_jobs: int,
        spec: Mapping[str, Any],
    ) -> None:
        own = [name for name in _OWN_FIELDS if name in spec]
        if own:
            raise TypeError(f"an executor takes no {own[0]!r}: submit() and map() give the items")
        self._transport = transport
        self._task = None if task is None else task_name(task)
        self._spec = dict(spec)
        encode_json(self._spec)
        self._waiting = Gathering()
        self._lock = self._waiting.lock
        # One thread per job: it gathers calls, sends them, and delivers the values until the end.
        # So the interpreter waits for them at its exit, as it does for any ThreadPoolExecutor.
        self._jobs = ThreadPoolExecutor(max_jobs, thread_name_prefix="batchpool-executor")
        self._is_gathering = False
        self._is_shut = False
        self._broken_by: Exception | None = None
        self._pid = os.getpid()

    def submit(self, task: object, /, *items: Any, **others: Any) -> Future[Any]:
        """Have a task run with one item, and return the future of its value.

        Args:
            task: a function declared with `@task`, or its name.
        Raises:
            TypeError: it is something else, another task than the executor's, or not one item.
            InvalidInput: the item is not JSON.
            BrokenExecutor: the API is gone.
            RuntimeError: after `shutdown`, at the exit of the interpreter, or in a forked process.
        """
        name = self._checked_name(task)
        if len(items) != 1 or others:
            given = ", ".join([f"{len(items)} arguments", *others])
            raise TypeError(f"a task is called with one item, got {given}")
        call = TaskCall(name, encode_item(items[0]), Future())
        if os.getpid() != self._pid:
            raise RuntimeError("an executor cannot be used in a process forked from its own")
        with self._lock:
            if self._broken_by is not None:
                raise _broken(self._broken_by)
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if not self._is_gathering:
                self._jobs.submit(self._work)
                self._is_gathering = True
            self._waiting.add(call)
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and wait until all futures are done.

        Args:
            cancel_futures: cancel the calls that are not sent yet.
        """
        with self._lock:
            self._is_shut = True
            unsent = list(self._waiting) if cancel_futures else []
        for call in unsent:
            call.future.cancel()
        self._jobs.shutdown(wait=wait)

    def _checked_name(self, task: object) -> str:
        name = task_name(task)
        if self._task is not None and name != self._task:
            raise TypeError(f"this executor runs task {self._task!r} only, got {name!r}")
        return name

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            self._waiting.wait()
            with self._lock:
                calls = self._waiting.take()
                goes_on = self._leaves_rest()
            self._run([call for call in calls if call.future.set_running_or_notify_cancel()])

    def _leaves_rest(self) -> bool:
        """Hand what still waits to another thread; True if there is none to take it."""
        self._is_gathering = bool(self._waiting)
        if self._is_gathering:
            try:
                self._jobs.submit(self._work)
            except RuntimeError:
                return True  # it is shut down, or the interpreter exits
        return False

    def _run(self, calls: Sequence[TaskCall]) -> None:
        if not calls:
            return
        failure: Exception | None = self._broken_by
        try:
            if failure is None:
                self._deliver(self._post(calls), calls)
        except Unreachable as error:
            self._broken_by = failure = error
        except Exception as error:
            failure = error
        finally:
            for call in calls:
                if not call.future.done():
                    refused = isinstance(failure, ApiError)
                    call.future.set_exception(failure if refused else _broken(failure))

    def _post(self, calls: Sequence[TaskCall]) -> Job:
        """Send the calls as one job; while the queue is full, wait for room."""
        fields = {"task": calls[0].task, **self._spec}
        if isinstance(fields.get("batches"), int):
            # Anything else is for the service to refuse.
            fields["batches"] = min(fields["batches"], len(calls))
        items = b",".join(call.item for call in calls)
        request = Call(
            "POST",
            "/v1/jobs",
            # Many jobs have ended by then: their records are the next and last request.
            query={"wait": _SHORT_JOB_S},
            body=encode_json(fields)[:-1] + b',"items":[' + items + b"]}",
            headers={"Idempotency-Key": uuid.uuid4().hex},
            retry_on_503=True,
        )
        while True:
            try:
                return Job(self._transport.json(request))
            except Unavailable as error:
                if error.status != 429:
                    raise
                time.sleep(error.retry_after_s or 1.0)

    def _deliver(self, job: Job, calls: Sequence[TaskCall]) -> None:
        for record in Arrivals(self._transport, job):
            future = calls[record["index"]].future
            try:
                if record["state"] == "succeeded":
                    future.set_result(record["value"])
                else:
                    future.set_exception(item_error(record, job.id))
            except BaseException:
                # Of a callback, as SystemExit; those that are an Exception do not come so far. The
                # other calls of the job have their values nevertheless.
                LOG.critical("a callback of a future has raised", exc_info=True)


def _broken(cause: Exception | None) -> BrokenExecutor:
    """Make a new exception for each future: one that is raised in many threads has no traceback."""
    found = BrokenExecutor(f"the job of this call cannot be followed: {cause or 'no record of it'}")
    found.__cause__ = cause
    return found
