"""Server-Sent Events: snapshots in order, resumed, capped, and ended."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.waiting import check_time


class Event(NamedTuple):
    id: str
    kind: str
    job: dict[str, Any]


def _parse(chunks: Any) -> Iterator[Event]:
    for chunk in chunks:
        for block in chunk.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "data" in fields:
                yield Event(fields["id"], fields["event"], json.loads(fields["data"]))


def _follow(stage: Any, path: str, **headers: str) -> tuple[Any, Iterator[Event]]:
    response = stage.http.get(path + "/events", headers=headers, buffered=False)
    assert response.status_code == 200, response.text
    assert response.mimetype == "text/event-stream"
    return response, _parse(response.iter_encoded())


@pytest.fixture
def path(stage: Any) -> str:
    """A job of 4 items in 2 batches."""
    return f"/v1/jobs/{stage.post(task='echo', count=4, batches=2)['id']}"


def test_a_stream_begins_with_the_job_and_ends_when_it_does(stage: Any, path: str) -> None:
    response, events = _follow(stage, path)
    first = next(events)
    assert (first.kind, first.job["state"]) == ("job", "queued")
    job_id = first.job["id"]
    stage.run(job_id, 0)
    second = next(events)
    assert second.kind in ("batch", "job")
    assert second.job["progress"]["succeeded"] == 2
    stage.run(job_id, 1)
    rest = list(events)
    assert rest[-1].kind == "end"
    assert rest[-1].job == stage.get(path)
    response.close()


def test_progress_of_a_batch_that_goes_on_is_an_event(stage: Any, path: str) -> None:
    stage.claim(path.rpartition("/")[2])
    response, events = _follow(stage, path)
    next(events)
    stage.redis.xadd(f"bp:job:{path.rpartition('/')[2]}:events", {"type": "progress", "batch": "0"})
    assert next(events).kind == "progress"
    response.close()


def test_a_terminal_job_is_shown_and_ended_at_once(stage: Any, path: str) -> None:
    stage.http.post(path + "/cancel")
    response, events = _follow(stage, path)
    assert [(event.kind, event.job["state"]) for event in events] == [
        ("job", "cancelled"),
        ("end", "cancelled"),
    ]
    response.close()


def test_a_client_that_comes_back_gets_what_it_missed_and_no_more(stage: Any, path: str) -> None:
    response, events = _follow(stage, path)
    seen = next(events)
    response.close()
    stage.run(seen.job["id"], 0)
    response, events = _follow(stage, path, **{"Last-Event-ID": seen.id})
    missed = next(events)
    assert missed.job["progress"]["succeeded"] == 2
    response.close()
    stage.run(seen.job["id"], 1)
    response, events = _follow(stage, path, **{"Last-Event-ID": missed.id})
    assert [event.kind for event in events] == ["end"]
    response.close()


@pytest.mark.parametrize("last_seen", ["1-0", "99999999999999-0", "nonsense", "-", "0-0"])
def test_an_id_that_is_not_in_the_stream_gets_a_snapshot(
    stage: Any, path: str, last_seen: str
) -> None:
    response, events = _follow(stage, path, **{"Last-Event-ID": last_seen})
    assert next(events).kind == "job"
    response.close()


def test_one_stream_more_than_there_may_be_is_503_until_one_ends(stage: Any, path: str) -> None:
    open_ones = [_follow(stage, path)[0] for _ in range(3)]
    refused = stage.http.get(path + "/events")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    # Not one event was read from it: closing it must free its place all the same.
    open_ones.pop().close()
    again, events = _follow(stage, path)
    assert next(events).kind == "job"
    for response in (again, *open_ones):
        response.close()


def test_a_refused_stream_takes_no_place(stage: Any, path: str) -> None:
    for _ in range(5):
        assert stage.http.get("/v1/jobs/0123456789abcdef01234567/events").status_code == 404
    response, _ = _follow(stage, path)
    response.close()


def test_silence_is_filled_with_comments(stage: Any, path: str) -> None:
    response = stage.http.get(path + "/events", buffered=False)
    chunks = response.iter_encoded()
    began = time.monotonic()
    assert next(chunk for chunk in chunks if chunk.startswith(b":")) == b": still here\n\n"
    check_time("a comment", time.monotonic() - began, 5)
    response.close()


def test_a_stream_ends_when_the_service_stops(stage: Any, path: str) -> None:
    response, events = _follow(stage, path)
    next(events)
    stage.app.extensions["batchpool"].stopping.set()
    reader = threading.Thread(target=lambda: list(events))
    reader.start()
    reader.join(3)
    assert not reader.is_alive()
    response.close()


def test_a_stream_of_a_deleted_job_ends(stage: Any, path: str) -> None:
    response, events = _follow(stage, path)
    next(events)
    stage.redis.flushall()
    assert list(events) == []
    response.close()
