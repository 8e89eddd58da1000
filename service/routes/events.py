"""/v1/jobs/{id}/events: a job's changes as Server-Sent Events, each with a full snapshot."""

import re
import time
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, request
from redis.exceptions import RedisError

from service.aggregation import show_job
from service.context import Service, service
from service.errors import Unavailable
from service.models import EventsQuery
from service.waiting import slice_s
from service.web import check_accepts, check_job_id, encode, no_such_job, read_query
from workers.ledger.events import Event
from workers.ledger.jobs import Snapshot
from workers.model import TERMINAL_STATES

blueprint = Blueprint("events", __name__, url_prefix="/v1/jobs")

EVENT_STREAM = "text/event-stream"
PROGRESS_EVERY_S = 0.2
RETRY_MS = 1000
_STREAM_ID = re.compile(r"(\d{1,19})-(\d{1,19})")
_RANKS = ("progress", "batch", "job", "end")


@blueprint.get("/<job_id>/events")
def get_events(job_id: str) -> Response:
    check_accepts((EVENT_STREAM,))
    query = read_query(EventsQuery)
    here = service()
    if not here.streams.take():
        most = here.settings.max_event_streams
        raise Unavailable(f"{most} event streams are open, which is all; poll with ?wait=", 5)
    try:
        stream = _open(here, job_id, request.headers.get("Last-Event-ID") or query.last_event_id)
    except BaseException:
        here.streams.give_back()
        raise
    response = Response(stream, content_type=f"{EVENT_STREAM}; charset=utf-8")
    response.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    # Not in the generator's `finally`: one that was never begun does not run it.
    response.call_on_close(here.streams.give_back)
    return response


def _open(here: Service, job_id: str, last_seen: str | None) -> Iterator[str]:
    seen = here.jobs.look(check_job_id(job_id))
    if seen is None:
        raise no_such_job(job_id)
    oldest = here.events.oldest_id(job_id)
    resume = last_seen if _can_resume(last_seen, oldest, seen.event) else None
    return _Stream(here, job_id).run(seen, resume)


def _can_resume(last_seen: str | None, oldest: str | None, newest: str) -> bool:
    seen = _parse_id(last_seen)
    low, high = _parse_id(oldest), _parse_id(newest)
    return seen is not None and low is not None and high is not None and low <= seen <= high


def _parse_id(text: str | None) -> tuple[int, int] | None:
    match = _STREAM_ID.fullmatch(text or "")
    return (int(match[1]), int(match[2])) if match else None


class _Stream:
    """One client's view of one job."""

    def __init__(
        self, here: Service, job_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._here = here
        self._job_id = job_id
        self._clock = clock
        self._last_sent = clock()

    def run(self, seen: Snapshot, resume: str | None) -> Iterator[str]:
        """The text of the stream, until the job has ended or the service stops.

        Redis being away ends it too: the client comes back with the last id it has.
        """
        yield f"retry: {RETRY_MS}\n\n"
        if resume is None:
            yield self._snapshot("job", seen)
        try:
            if seen.job.state not in TERMINAL_STATES:
                yield from self._follow(resume or seen.event)
            else:
                yield self._snapshot("end", seen)
        except RedisError:
            return

    def _follow(self, after: str) -> Iterator[str]:
        block_ms = int(slice_s(self._here) * 1000)
        while not self._here.stopping.is_set():
            events = self._here.events.read(self._job_id, after, block_ms)
            if events:
                seen = self._here.jobs.look(self._job_id)
                if seen is None:
                    return
                after = seen.event
                ended = seen.job.state in TERMINAL_STATES
                yield self._snapshot("job" if ended else _kind(events), seen)
                if ended:
                    yield self._snapshot("end", seen)
                    return
                self._pause(events)
            elif self._clock() - self._last_sent >= self._here.settings.event_heartbeat_s:
                self._last_sent = self._clock()
                yield ": still here\n\n"
                if self._here.jobs.look(self._job_id) is None:
                    return

    def _pause(self, events: list[tuple[str, Event]]) -> None:
        # Blocks come several times a second from each batch; a person needs no more than this.
        if _kind(events) == "progress":
            self._here.stopping.wait(PROGRESS_EVERY_S)

    def _snapshot(self, kind: str, seen: Snapshot) -> str:
        self._last_sent = self._clock()
        shown = show_job(seen.job, seen.job.finished_ms or seen.now_ms)
        return f"id: {seen.event}\nevent: {kind}\ndata: {encode(shown)}\n\n"


def _kind(events: list[tuple[str, Event]]) -> str:
    return max((event["type"] for _, event in events), key=_RANKS.index)
