"""Wait for a job or comparison by long polling, or follow its event stream."""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from batchpool.client.errors import WaitTimeout
from batchpool.client.reading import go_on
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


class _Events:
    """The events of a job or comparison."""

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport = transport
        self._path = path
        self._headers = {"Accept": "text/event-stream"}
        self.ended = False

    def read(self) -> Iterator[Event]:
        with self._transport.stream(self._path, headers=self._headers) as answer:
            for event in parse_events(answer.iter_lines()):
                if event.id is not None:
                    self._headers["Last-Event-ID"] = event.id
                self.ended = event.type == "end"
                yield event
                if self.ended:
                    return


def follow_events(transport: Transport, path: str, what: str) -> Iterator[Event]:
    """Iterate over the events at `path` until the last one; reconnects when the stream is cut."""
    return go_on(_Events(transport, path), f"event stream of {what}", transport.retry_for_s)


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
