"""The values of a job in the order of its items, as they arrive."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from typing import Any

from batchpool.client.arrivals import Arrivals
from batchpool.client.errors import BatchpoolError
from batchpool.client.resources import Job
from batchpool.client.task_errors import Failures, item_error
from batchpool.client.transport import Call, Transport
from batchpool.json_value import JsonObject


def ordered_values(
    transport: Transport, job: Job, *, return_exceptions: bool
) -> Generator[Any, None, None]:
    """Iterate over the values of a job by item index; who leaves early cancels the job.

    Raises:
        ItemsFailed: an item has no value; raised once the job has ended, in place of the value.
    """
    records = _in_order(Arrivals(transport, job))
    try:
        for record in records:
            if record["state"] == "succeeded":
                yield record["value"]
            elif return_exceptions:
                yield item_error(record, job.id)
            else:
                failures = Failures(job.id, job.progress["total"])
                failures.add(record)
                for other in records:
                    if other["state"] != "succeeded":
                        failures.add(other)
                raise failures.as_error()
    except (GeneratorExit, KeyboardInterrupt):
        with suppress(BatchpoolError):
            transport.call(Call("POST", f"/v1/jobs/{job.id}/cancel"))
        raise


def _in_order(records: Iterable[JsonObject]) -> Iterator[JsonObject]:
    early: dict[int, JsonObject] = {}
    index = 0
    for record in records:
        early[record["index"]] = record
        while index in early:
            yield early.pop(index)
            index += 1
    if early:
        raise BatchpoolError(f"the record of item {index} cannot be read (GET /v1/broken)")
