"""Read Server-Sent Events (WHATWG HTML, section 9.2.6), as far as the service uses them."""

import json
from collections.abc import Iterable, Iterator

from batchpool.client.resources import Event


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """Turn the stream's lines into events; comments and keep-alives are skipped."""
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
