"""`python -m batchpool.api` as a process: where it listens, how it ends, what it stands."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest

from batchpool.system.process_tree import children_of
from tests.integration.api_process import Api
from tests.support.sampling import full
from tests.support.waiting import check_time

FOLLOW = "/records?follow=1"


def test_it_listens_on_the_free_port_that_it_prints(api: Api) -> None:
    assert api.port > 0
    assert api.ask("GET", "/healthz") == (200, {"status": "alive"})


def test_it_takes_a_listening_socket_that_it_inherits(start_api: Callable[..., Api]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        api = start_api(environ={"BATCHPOOL_API_FD": str(fd)}, pass_fds=(fd,))
        assert api.port == listener.getsockname()[1]
        assert api.ask("GET", "/healthz")[0] == 200


def test_a_bad_setting_ends_it_with_its_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "batchpool.api"],
        env=os.environ | {"BATCHPOOL_API_PORT": "http"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("BATCHPOOL_API_PORT='http': must be")


@pytest.mark.parametrize("number", [signal.SIGTERM, *full(signal.SIGINT)])
def test_it_stops_in_three_seconds_with_streams_and_waits_open(
    own_api: Api, stage: Any, number: signal.Signals
) -> None:
    job = stage.post(task="echo", count=1)["id"]
    open_ones = []
    for path in ("/events", FOLLOW, "?wait=60", "?wait=60"):
        connection = own_api.connect()
        connection.request("GET", f"/v1/jobs/{job}{path}")
        open_ones.append(connection)
    streams = [connection.getresponse() for connection in open_ones[:2]]
    assert [stream.readline()[:8] for stream in streams] == [b"retry: 1", b'{"cursor']
    stage.until(lambda: stage.redis.info("clients")["blocked_clients"] == 4)
    check_time("the end", own_api.end(number), 3)
    # To their end, which the last chunk says: they were not just cut.
    assert [b"queued" in stream.read() for stream in streams] == [True, False]
    for connection in open_ones[2:]:
        assert json.loads(connection.getresponse().read())["state"] == "queued"
    for connection in open_ones:
        connection.close()


def test_streams_and_waits_leave_threads_for_other_requests(api: Api, stage: Any) -> None:
    job = stage.post(task="echo", count=1)["id"]
    connections = []
    for path in ["/events"] * 5 + ["?wait=60"] * 5:
        connection = api.connect()
        connection.request("GET", f"/v1/jobs/{job}{path}")
        connections.append(connection)
    stage.until(lambda: stage.redis.info("clients")["blocked_clients"] == 10)
    began = time.monotonic()
    assert api.ask("GET", "/healthz")[0] == 200
    assert api.ask("GET", f"/v1/jobs/{job}/events")[0] == 503
    assert api.ask("GET", f"/v1/jobs/{job}?wait=60")[0] == 200
    check_time("three answers", time.monotonic() - began, 1)
    for connection in connections:
        connection.close()


def test_forty_open_pages_leave_it_responsive(start_api: Callable[..., Api], stage: Any) -> None:
    """Each page holds a stream while one is free, and asks for what it shows as pages do."""
    most = {"BATCHPOOL_API_MAX_EVENT_STREAMS": "32", "BATCHPOOL_API_THREADS": "80"}
    api = start_api(environ=most)
    job = stage.post(task="echo", count=1000)["id"]
    parts = f"/jobs/{job}?fragment=top,progress,batches,records"
    with ExitStack() as stack:
        pages = [stack.enter_context(closing(api.connect())) for _ in range(40)]
        streams = [stack.enter_context(closing(api.connect())) for _ in pages]
        for stream in streams:
            stream.request("GET", f"/v1/jobs/{job}/events")
        statuses = [stream.getresponse().status for stream in streams]
        assert sorted(statuses) == [200] * 32 + [503] * 8
        # The first page of all compiles the templates.
        pages[0].request("GET", parts, headers={"Accept": "text/html"})
        pages[0].getresponse().read()
        before = scrape(api)["process_cpu_seconds_total"]
        for page in pages:
            page.request("GET", parts, headers={"Accept": "text/html"})
        assert api.ask("GET", "/healthz")[0] == 200
        for page in pages:
            response = page.getresponse()
            assert (response.status, b"data-fragment" in response.read()) == (200, True)
        # Each page asks once a second at most: what that takes leaves most of a CPU.
        used_s = scrape(api)["process_cpu_seconds_total"] - before
        check_time("CPU of forty pages", used_s, 1)


def test_several_processes_serve_under_the_same_limits(
    start_api: Callable[..., Api], stage: Any
) -> None:
    api = start_api(environ={"BATCHPOOL_API_PROCESSES": "3"})
    stage.until(lambda: len(children_of(api.process.pid)) == 3)
    serving = children_of(api.process.pid)
    job = stage.post(task="echo", count=1)["id"]

    def most_streams() -> int:
        opened = 0
        with ExitStack() as stack:
            for _ in range(12):
                connection = stack.enter_context(closing(api.connect()))
                connection.request("GET", f"/v1/jobs/{job}/events")
                response = stack.enter_context(connection.getresponse())
                opened += response.status == 200
            for pid in children_of(api.process.pid):
                os.kill(pid, signal.SIGKILL)
        return opened

    # Over all processes. The places of those that are killed are free again.
    assert most_streams() == 5
    stage.until(lambda: len(set(children_of(api.process.pid)) - set(serving)) == 3)
    stage.until(lambda: answers(api))
    assert most_streams() == 5
    stage.until(lambda: answers(api) and len(children_of(api.process.pid)) == 3)
    scrapes = [scrape(api) for _ in range(12)]
    assert len({each["process_start_time_seconds"] for each in scrapes}) == 1
    assert all(each["process_resident_memory_bytes"] > 3 * 20e6 for each in scrapes)
    times = [each["process_cpu_seconds_total"] for each in scrapes]
    assert times == sorted(times), "a counter never goes back, whichever process is asked"
    api.process.terminate()
    _, said = api.process.communicate(timeout=20)
    assert api.process.returncode == 0 and "was sent SIGKILL" in said


def answers(api: Api) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return api.ask("GET", "/healthz")[0] == 200
    return False


def scrape(api: Api) -> dict[str, float]:
    """The metrics without labels."""
    connection = api.connect()
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    pairs = (line.split(" ") for line in lines if line and line[0] != "#" and "{" not in line)
    return {name: float(value) for name, value in pairs}


@pytest.mark.parametrize("stream", ["/events", FOLLOW])
def test_a_place_is_free_again_soon_after_its_client_has_left(
    api: Api, stage: Any, stream: str
) -> None:
    job = stage.post(task="echo", count=1)["id"]
    for _ in range(5):
        connection = api.connect()
        connection.request("GET", f"/v1/jobs/{job}{stream}")
        connection.getresponse().readline()
        connection.close()

    def is_free() -> bool:
        connection = api.connect()
        connection.request("GET", f"/v1/jobs/{job}{stream}")
        status = connection.getresponse().status
        connection.close()
        return status == 200

    stage.until(is_free)


def test_a_chunked_body_is_read_and_bounded(start_api: Callable[..., Api], stage: Any) -> None:
    api = start_api(environ={"BATCHPOOL_MAX_BODY_BYTES": "2048"})
    order = json.dumps({"task": "echo", "count": 1}).encode()
    assert api.ask("POST", "/v1/jobs", iter([order[:5], order[5:]]))[0] == 202
    status, problem = api.ask("POST", "/v1/jobs", iter([b" " * 1000] * 3))
    assert (status, problem["status"]) == (413, 413)


@pytest.mark.alone
def test_a_refused_megabyte_is_answered_within_100_ms_of_its_arrival(api: Api) -> None:
    body = b'{"task":"nope","items":[%s]}' % b",".join([b"[]"] * 340_000)
    api.ask("POST", "/v1/jobs", {})
    took = []
    for _ in range(20):
        began = time.monotonic()
        assert api.ask("POST", "/v1/jobs", body)[0] == 422
        took.append(time.monotonic() - began)
        if took[-1] < 0.1:
            break
    check_time("the answer to a refused megabyte", min(took), 0.1)


def test_it_says_nothing_but_where_it_listens(own_api: Api) -> None:
    own_api.ask("GET", "/v1/jobs")
    own_api.end()


def test_it_ends_well_when_told_to_stop_while_it_starts(start_api: Callable[..., Api]) -> None:
    # It says where it listens before it has loaded what will answer there.
    start_api().end()


def test_listening_beyond_this_machine_is_warned_of(start_api: Callable[..., Api]) -> None:
    api = start_api(environ={"BATCHPOOL_API_HOST": "0.0.0.0"})
    assert api.process.stdout is not None and api.process.stderr is not None
    api.process.terminate()
    with api.process.stdout, api.process.stderr:
        assert api.process.wait(20) == 0
        assert "there is no authentication" in api.process.stderr.read()
