"""Server-Sent Events of a job or comparison: snapshots in order, resume, limits, end."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from flask import Response, request
from redis.exceptions import RedisError

from batchpool.api.context import ApiContext, client_is_gone
from batchpool.api.http import encode
from batchpool.api.long_poll import block_s
from batchpool.api.problems import Problem, Unavailable
from batchpool.json_value import JsonObject
from batchpool.ledger.events import Event
from batchpool.model import TERMINAL_STATES

EVENT_STREAM = "text/event-stream"
PROGRESS_EVERY_S = 0.2
RETRY_MS = 1000
_STREAM_ID = re.compile(r"(\d{1,19})-(\d{1,19})")


class Snapshot(NamedTuple):
    """The state of a job or comparison, just after the event with the id `event`."""

    event: str
    state: str
    show: Callable[[], JsonObject]


@dataclass(frozen=True)
class EventSource:
    """The job or comparison that is streamed.

    Args:
        kinds: kinds of events, the least important first; a snapshot has the most important kind
            of the events that it covers. A snapshot without an event has the last but one.
        missing: the answer if the job or comparison does not exist.
    """

    kinds: tuple[str, ...]
    load: Callable[[], Snapshot | None]
    oldest_id: Callable[[], str | None]
    read: Callable[[str, int], list[tuple[str, Event]]]
    missing: Problem


def stream_events(context: ApiContext, source: EventSource, last_event_id: str | None) -> Response:
    """Stream events; the response occupies one of the streams until it is closed.

    Raises:
        Problem: 503 if all streams are in use, or `source.missing`.
    """
    last_seen = request.headers.get("Last-Event-ID") or last_event_id
    return live_response(context, lambda: _open(context, source, last_seen), EVENT_STREAM)


def live_response(
    context: ApiContext, begin: Callable[[], Iterator[str]], media_type: str
) -> Response:
    """Text that goes on while a job runs; it occupies one of the streams until it is closed.

    Args:
        begin: called once there is a place.

    Raises:
        Problem: 503 if all streams are in use, or what `begin` raises.
    """
    if not context.streams.acquire():
        most = context.settings.max_event_streams
        raise Unavailable(f"all {most} streams are in use; poll with ?wait= instead", 5)
    try:
        stream = begin()
    except BaseException:
        context.streams.release()
        raise
    response = Response(stream, content_type=f"{media_type}; charset=utf-8")
    response.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    # Not in the generator's `finally`: a generator that was never started does not run it.
    response.call_on_close(context.streams.release)
    return response


def _open(context: ApiContext, source: EventSource, last_seen: str | None) -> Iterator[str]:
    seen = source.load()
    if seen is None:
        raise source.missing
    resume = last_seen if _can_resume(last_seen, source.oldest_id(), seen.event) else None
    return _Stream(context, source).run(seen, resume)


def _can_resume(last_seen: str | None, oldest: str | None, newest: str) -> bool:
    seen = _parse_id(last_seen)
    low, high = _parse_id(oldest), _parse_id(newest)
    return seen is not None and low is not None and high is not None and low <= seen <= high


def _parse_id(text: str | None) -> tuple[int, int] | None:
    match = _STREAM_ID.fullmatch(text or "")
    return (int(match[1]), int(match[2])) if match else None


class _Stream:
    """The stream to one client."""

    def __init__(
        self, context: ApiContext, source: EventSource, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._context = context
        self._source = source
        self._clock = clock
        self._last_sent = clock()
        self._is_gone = client_is_gone()

    def run(self, seen: Snapshot, resume: str | None) -> Iterator[str]:
        """The text of the stream, until the job or comparison ends, or the service stops.

        An outage of Redis ends it too: the client reconnects with the last id that it has.
        """
        yield f"retry: {RETRY_MS}\n\n"
        if resume is None:
            yield self._snapshot(self._source.kinds[-2], seen)
        try:
            if seen.state not in TERMINAL_STATES:
                yield from self._follow(resume or seen.event)
            else:
                yield self._snapshot("end", seen)
        except RedisError:
            return

    def _follow(self, after: str) -> Iterator[str]:
        block_ms = int(block_s(self._context) * 1000)
        while not (self._context.stopping.is_set() or self._is_gone()):
            events = self._source.read(after, block_ms)
            if events:
                seen = self._source.load()
                if seen is None:
                    return
                after = seen.event
                ended = seen.state in TERMINAL_STATES
                yield self._snapshot(self._source.kinds[-2] if ended else self._kind(events), seen)
                if ended:
                    yield self._snapshot("end", seen)
                    return
                self._pause(events)
            elif self._clock() - self._last_sent >= self._context.settings.event_heartbeat_s:
                self._last_sent = self._clock()
                yield ": still here\n\n"
                if self._source.load() is None:
                    return

    def _pause(self, events: list[tuple[str, Event]]) -> None:
        # Each batch may write several blocks a second; clients need fewer events than that.
        if self._kind(events) == "progress":
            self._context.stopping.wait(PROGRESS_EVERY_S)

    def _snapshot(self, kind: str, seen: Snapshot) -> str:
        self._last_sent = self._clock()
        return f"id: {seen.event}\nevent: {kind}\ndata: {encode(seen.show())}\n\n"

    def _kind(self, events: list[tuple[str, Event]]) -> str:
        return max((event["type"] for _, event in events), key=self._source.kinds.index)
