"""Wait for a job or comparison by long polling, or follow its event stream."""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from batchpool.client.errors import Unavailable, Unreachable, WaitTimeout
from batchpool.client.resources import TERMINAL_STATES, Event
from batchpool.client.transport import Call, Transport, check_seconds

# The service's cap is 60; an API that dies in mid-wait is asked anew, for as long again.
LONGEST_WAIT_S = 30.0
_BUSY_PAUSE_S = 0.5


def wait_ended(transport: Transport, path: str, what: str, wait_s: float | None) -> Any:
    """Long-poll `path` until the state is terminal and return the document.

    Raises:
        WaitTimeout: it has not ended within `wait_s`.
        InvalidInput: `wait_s` is NaN.
    """
    check_seconds(wait_s=wait_s)
    deadline = None if wait_s is None else time.monotonic() + wait_s
    while True:
        left_s = LONGEST_WAIT_S if deadline is None else deadline - time.monotonic()
        poll_s = max(0.0, min(left_s, LONGEST_WAIT_S))
        asked = time.monotonic()
        query = {"wait": f"{poll_s:.3f}"}
        found = transport.json(
            Call("GET", path, query=query, extra_timeout_s=poll_s, retry_on_503=True)
        )
        if found["state"] in TERMINAL_STATES:
            return found
        if deadline is not None and time.monotonic() >= deadline:
            raise WaitTimeout(f"{what} is {found['state']} after {wait_s:g} s")
        # With too many waiting already the service answers at once: then it is asked slowly.
        time.sleep(max(0.0, min(_BUSY_PAUSE_S, poll_s) - (time.monotonic() - asked)))


def follow_events(
    transport: Transport, path: str, what: str, retry_for_s: float
) -> Iterator[Event]:
    """Iterate over the events at `path` until the last one; reconnects when the stream is cut."""
    last_id: str | None = None
    cut_since: float | None = None
    while True:
        headers = {"Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        try:
            with transport.stream(path, headers=headers) as answer:
                for event in parse_events(answer.iter_lines()):
                    cut_since = None
                    last_id = event.id or last_id
                    yield event
                    if event.type == "end":
                        return
        except (httpx.TransportError, Unavailable) as error:
            cut_since = cut_since or time.monotonic()
            if time.monotonic() - cut_since > retry_for_s:
                raise Unreachable(f"the event stream of {what} broke: {error}") from error
            time.sleep(0.2)


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """Parse Server-Sent Events (WHATWG HTML, section 9.2.6), as far as the service uses them."""
    kind, data, last_id = "message", list[str](), None
    for line in lines:
        if not line:
            if data:
                yield Event(last_id, kind, json.loads("\n".join(data)))
            kind, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            last_id = value
