"""Read values and records while they stream in, and go on where a stream was cut."""

import json
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Literal, Protocol, TypeVar

import httpx

from batchpool.client.errors import NotFound, Unavailable, Unreachable
from batchpool.client.transport import Query, Transport
from batchpool.json_value import JsonObject

Missing = Literal["fail", "null", "skip"]
Found = TypeVar("Found", covariant=True)
_NDJSON = {"Accept": "application/x-ndjson"}
_CUT_PAUSE_S = 0.2
_PART = 50_000


class Source(Protocol[Found]):
    """What is read from a stream; it remembers where it is."""

    @property
    def ended(self) -> bool:
        """Whether all was read."""

    def read(self) -> Iterator[Found]:
        """Open the stream, and yield what follows that which was read before."""


def go_on(source: Source[Found], what: str, retry_for_s: float) -> Iterator[Found]:
    """Iterate over what a source has; it is read again when its stream was cut.

    Raises:
        Unreachable: nothing came for `retry_for_s`.
        Unavailable: the service refused it for as long.
    """
    cut_since: float | None = None
    while not source.ended:
        cause: Exception | None = None
        try:
            for found in source.read():
                cut_since = None
                yield found
        except (httpx.TransportError, Unavailable) as error:
            cause = error
        if source.ended:
            return
        cut_since = cut_since or time.monotonic()
        if time.monotonic() - cut_since > retry_for_s:
            if isinstance(cause, Unavailable):
                raise cause
            raise Unreachable(f"the {what} broke: {cause or 'it was cut'}") from cause
        time.sleep(_CUT_PAUSE_S)


class _Values:
    """The values of a job: what was read is counted, so that a cut stream goes on there."""

    def __init__(self, transport: Transport, path: str, missing: Missing) -> None:
        self._transport = transport
        self._path = path
        self._missing = missing
        self._read = 0
        self.ended = False

    def read(self) -> Iterator[list[Any]]:
        query = {"missing": self._missing, "cursor": self._read}
        with self._transport.stream(self._path, query=query, headers=_NDJSON) as answer:
            for values in parse_lines(answer.iter_bytes()):
                self._read += len(values)
                yield values
        self.ended = True


class _PresentValues:
    """The values of a job without what is missing.

    Their number does not say how far they reach. So they are read in parts of so many items, each
    of which is yielded once all of it has come.
    """

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport = transport
        self._path = path
        self._cursor = 0
        self.ended = False

    def read(self) -> Iterator[list[Any]]:
        while not self.ended:
            query: Query = {"missing": "skip", "cursor": self._cursor, "limit": _PART}
            with self._transport.stream(self._path, query=query, headers=_NDJSON) as answer:
                values = list(chain.from_iterable(parse_lines(answer.iter_bytes())))
            self._cursor += _PART
            self.ended = "next" not in answer.links
            yield values


class _Records:
    """The records of a job by index, which says where a cut stream goes on."""

    def __init__(
        self,
        transport: Transport,
        path: str,
        states: Iterable[str],
        fields: Iterable[str],
        first: int = 0,
        has_log: bool = False,
    ) -> None:
        self._transport = transport
        self._path = path
        names = list(fields)
        self._drops_index = bool(names) and "index" not in names
        self._query = _query(states, [*names, "index"] if self._drops_index else names)
        if has_log:
            self._query["has_log"] = "1"
        self._cursor = first
        self.ended = False

    def read(self) -> Iterator[list[JsonObject]]:
        query: Query = {**self._query, "cursor": self._cursor}
        with self._transport.stream(self._path, query=query, headers=_NDJSON) as answer:
            for records in parse_lines(answer.iter_bytes()):
                self._cursor = records[-1]["index"] + 1
                if self._drops_index:
                    for record in records:
                        del record["index"]
                yield records
        self.ended = True


class _WrittenRecords:
    """The records of a job as they are written; those without a cursor yet come again."""

    def __init__(
        self, transport: Transport, path: str, states: Iterable[str], fields: Iterable[str]
    ) -> None:
        self._transport = transport
        self._path = path
        self._query: Query = {**_query(states, fields), "follow": "1"}
        self.ended = False

    def read(self) -> Iterator[list[JsonObject]]:
        records: list[JsonObject] = []
        has_begun = False
        with self._transport.stream(self._path, query=self._query, headers=_NDJSON) as answer:
            for line in chain.from_iterable(parse_lines(answer.iter_bytes())):
                if "cursor" in line:
                    self._query = {**self._query, "after": line["cursor"]}
                    # The first one says where the stream begins: nothing has come with it.
                    if has_begun or records:
                        yield records
                    has_begun, records = True, []
                elif "end" in line:
                    self._end(line)
                    return
                else:
                    records.append(line)

    def _end(self, line: JsonObject) -> None:
        if line["end"] == "gone":
            raise NotFound(404, {"title": "Not found", "detail": line["detail"]})
        self.ended = True


def read_values(transport: Transport, job_id: str, missing: Missing = "fail") -> Iterator[Any]:
    """Iterate over the values of a job by item index.

    Raises:
        Conflict: items have no value, and `missing` is `fail`.
        Unreachable: the stream was cut, and nothing answered for as long as the client tries.
    """
    path = f"/v1/jobs/{job_id}/values"
    values: Source[list[Any]] = (
        _PresentValues(transport, path) if missing == "skip" else _Values(transport, path, missing)
    )
    return _flat(values, transport, f"values of job {job_id}")


def read_records(
    transport: Transport, job_id: str, states: Iterable[str] = (), fields: Iterable[str] = ()
) -> Iterator[JsonObject]:
    """Iterate over the records of a job by item index.

    Raises:
        Unreachable: as `read_values`.
    """
    records = _Records(transport, f"/v1/jobs/{job_id}/records", states, fields)
    return _flat(records, transport, f"records of job {job_id}")


def read_logs(transport: Transport, job_id: str, first: int) -> Iterator[tuple[int, str]]:
    """Iterate over the logs of a job by item index, from the item `first` on.

    Raises:
        Unreachable: as `read_values`.
    """
    path, fields = f"/v1/jobs/{job_id}/records", ("index", "log")
    records = _Records(transport, path, (), fields, first, has_log=True)
    found = _flat(records, transport, f"logs of job {job_id}")
    return ((record["index"], record["log"]) for record in found)


def stream_records(
    transport: Transport, job_id: str, states: Iterable[str] = (), fields: Iterable[str] = ()
) -> Iterator[JsonObject]:
    """Iterate over the records of a job as they are written, until it has ended.

    Raises:
        Unreachable: as `read_values`.
        NotFound: the job was deleted, or has expired.
    """
    records = _WrittenRecords(transport, f"/v1/jobs/{job_id}/records", states, fields)
    return _flat(records, transport, f"records of job {job_id}")


def _flat(source: Source[Iterable[Any]], transport: Transport, what: str) -> Iterator[Any]:
    return chain.from_iterable(go_on(source, f"stream of {what}", transport.retry_for_s))


def _query(states: Iterable[str], fields: Iterable[str]) -> dict[str, str]:
    given = {"state": ",".join(states), "fields": ",".join(fields)}
    return {name: text for name, text in given.items() if text}


def parse_lines(chunks: Iterable[bytes]) -> Iterator[list[Any]]:
    """The lines of JSON that each chunk completes, parsed at once; there is no empty line."""
    begun = b""
    for chunk in chunks:
        lines, newline, rest = chunk.rpartition(b"\n")
        if newline:
            # JSON has no line break within a value: lines with commas between them are a list.
            yield json.loads(b"[" + (begun + lines).replace(b"\n", b",") + b"]")
            begun = rest
        else:
            begun += chunk
