"""Waiting for what the service has under way: by long polls, or by its events."""

import time
from collections.abc import Iterator
from typing import Any

import httpx

from batchpool.client.errors import Unavailable, Unreachable, WaitTimeout
from batchpool.client.resources import TERMINAL_STATES, Event
from batchpool.client.sse import parse_events
from batchpool.client.transport import Call, Transport

# The service's cap is 60; an API that dies in mid-wait is asked anew, for as long again.
LONGEST_WAIT_S = 30.0
_BUSY_PAUSE_S = 0.5


def wait_ended(transport: Transport, path: str, what: str, timeout_s: float | None) -> Any:
    """What is at `path` once its state is terminal; the service holds the answer back.

    Raises:
        WaitTimeout: it has not ended within `timeout_s`.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left_s = LONGEST_WAIT_S if deadline is None else deadline - time.monotonic()
        hold_s = max(0.0, min(left_s, LONGEST_WAIT_S))
        asked = time.monotonic()
        query = {"wait": f"{hold_s:.3f}"}
        found = transport.json(Call("GET", path, query=query, more_time_s=hold_s, outlast_503=True))
        if found["state"] in TERMINAL_STATES:
            return found
        if deadline is not None and time.monotonic() >= deadline:
            raise WaitTimeout(f"{what} is {found['state']} after {timeout_s:g} s")
        # With too many waiting already the service answers at once: then it is asked slowly.
        time.sleep(max(0.0, min(_BUSY_PAUSE_S, hold_s) - (time.monotonic() - asked)))


def follow_events(transport: Transport, path: str, what: str, patience_s: float) -> Iterator[Event]:
    """The events at `path` until the last one; a cut stream is taken up again."""
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
            if time.monotonic() - cut_since > patience_s:
                raise Unreachable(f"the event stream of {what} broke: {error}") from error
            time.sleep(0.2)
