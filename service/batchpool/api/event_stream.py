"""Server-Sent Events of whatever changes and ends: snapshots in order, resumed, capped, ended."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from flask import Response, request
from redis.exceptions import RedisError

from batchpool.api.context import ApiContext, client_is_gone
from batchpool.api.http import encode
from batchpool.api.long_poll import slice_s
from batchpool.api.problems import Problem, Unavailable
from batchpool.ledger.events import Event
from batchpool.model import TERMINAL_STATES

EVENT_STREAM = "text/event-stream"
PROGRESS_EVERY_S = 0.2
RETRY_MS = 1000
_STREAM_ID = re.compile(r"(\d{1,19})-(\d{1,19})")


class Snapshot(NamedTuple):
    """What is streamed, at one moment just after the event with the id `event`."""

    event: str
    state: str
    show: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class EventSource:
    """Where a stream comes from.

    Args:
        kinds: of events, the least important first; a snapshot has the kind of the most important
            one that it stands for. The last but one is that of a snapshot without an event.
        missing: what is answered when there is no such thing.
    """

    kinds: tuple[str, ...]
    load: Callable[[], Snapshot | None]
    oldest_id: Callable[[], str | None]
    read: Callable[[str, int], list[tuple[str, Event]]]
    missing: Problem


def stream_events(here: ApiContext, source: EventSource, last_event_id: str | None) -> Response:
    """The answer that streams; takes one of the slots there are for that until it is closed.

    Raises:
        Problem: 503 when all slots are taken, or what `source.missing` is.
    """
    if not here.streams.acquire():
        most = here.settings.max_event_streams
        raise Unavailable(f"all {most} event streams are in use; poll with ?wait= instead", 5)
    try:
        stream = _open(here, source, request.headers.get("Last-Event-ID") or last_event_id)
    except BaseException:
        here.streams.release()
        raise
    response = Response(stream, content_type=f"{EVENT_STREAM}; charset=utf-8")
    response.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    # Not in the generator's `finally`: one that was never begun does not run it.
    response.call_on_close(here.streams.release)
    return response


def _open(here: ApiContext, source: EventSource, last_seen: str | None) -> Iterator[str]:
    seen = source.load()
    if seen is None:
        raise source.missing
    resume = last_seen if _can_resume(last_seen, source.oldest_id(), seen.event) else None
    return _Stream(here, source).run(seen, resume)


def _can_resume(last_seen: str | None, oldest: str | None, newest: str) -> bool:
    seen = _parse_id(last_seen)
    low, high = _parse_id(oldest), _parse_id(newest)
    return seen is not None and low is not None and high is not None and low <= seen <= high


def _parse_id(text: str | None) -> tuple[int, int] | None:
    match = _STREAM_ID.fullmatch(text or "")
    return (int(match[1]), int(match[2])) if match else None


class _Stream:
    """One client's view."""

    def __init__(
        self, here: ApiContext, source: EventSource, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._here = here
        self._source = source
        self._clock = clock
        self._last_sent = clock()
        self._is_gone = client_is_gone()

    def run(self, seen: Snapshot, resume: str | None) -> Iterator[str]:
        """The text of the stream, until the end of what is watched or of the service.

        Redis being away ends it too: the client comes back with the last id it has.
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
        block_ms = int(slice_s(self._here) * 1000)
        while not (self._here.stopping.is_set() or self._is_gone()):
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
            elif self._clock() - self._last_sent >= self._here.settings.event_heartbeat_s:
                self._last_sent = self._clock()
                yield ": still here\n\n"
                if self._source.load() is None:
                    return

    def _pause(self, events: list[tuple[str, Event]]) -> None:
        # Blocks come several times a second from each batch; a person needs no more than this.
        if self._kind(events) == "progress":
            self._here.stopping.wait(PROGRESS_EVERY_S)

    def _snapshot(self, kind: str, seen: Snapshot) -> str:
        self._last_sent = self._clock()
        return f"id: {seen.event}\nevent: {kind}\ndata: {encode(seen.show())}\n\n"

    def _kind(self, events: list[tuple[str, Event]]) -> str:
        return max((event["type"] for _, event in events), key=self._source.kinds.index)
