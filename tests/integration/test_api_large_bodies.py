"""Large bodies: accepted or refused, while everybody else is answered."""

import gc
import threading
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from batchpool.api.bodies.json_body import GcPause
from tests.integration.api_process import Api
from tests.support.sampling import full

MILLION = 1_000_000
# Made by their test: each test process collects this file.
ACCEPTED: dict[str, Callable[[int], bytes]] = {
    "numbers": lambda count: b",".join(b"%d" % n for n in range(count)),
    "objects": lambda count: b",".join(
        b'{"path":"/data/%06d","size":%d,"tags":["a","b"]}' % (n, n) for n in range(count)
    ),
}
REFUSED: dict[str, Callable[[], bytes]] = {
    "empty lists": lambda: b"[" + b"[]," * 22_000_000 + b"[]]",
    "empty objects": lambda: b"[" + b"{}," * 22_000_000 + b"{}]",
    "names": lambda: b"{" + b",".join(b'"%x":0' % n for n in range(6_000_000)) + b"}",
}


def _order(items: bytes) -> bytes:
    return b'{"task":"echo","items":[%s]}' % items


@pytest.mark.parametrize(
    ("kind", "count"), [("objects", 200_000), *full(("numbers", MILLION), ("objects", MILLION))]
)
def test_many_items_are_accepted_and_block_nobody(
    api: Api, stage: Any, kind: str, count: int
) -> None:
    body = _order(ACCEPTED[kind](count))
    with api.served_at_once(0.05):
        status, job = api.ask("POST", "/v1/jobs", body)
    assert status == 202, job
    assert job["progress"]["total"] == count


@pytest.mark.parametrize("kind", ["empty lists", *full("names", "empty objects")])
def test_a_body_that_needs_too_much_memory_is_413_and_blocks_nobody(
    api: Api, stage: Any, kind: str
) -> None:
    body = _order(REFUSED[kind]())
    with api.served_at_once(0.05):
        status, problem = api.ask("POST", "/v1/jobs", body)
    assert (status, problem["status"]) == (413, 413), problem
    assert "MiB of memory" in problem["detail"]
    assert api.ask("POST", "/v1/jobs", _order(b"1"))[0] == 202
    assert api.ask("POST", "/v1/jobs", _order(b"0," * MILLION + b"0"))[0] == 422


TWO_MEGABYTES = _order(b",".join([b'"%s"' % (b"x" * 1000)] * 2000))


def test_a_large_order_is_idempotent_and_can_be_waited_for(api: Api, stage: Any) -> None:
    first = api.ask("POST", "/v1/jobs", TWO_MEGABYTES, Idempotency_Key="k")
    again = api.ask("POST", "/v1/jobs?wait=0.1", TWO_MEGABYTES, Idempotency_Key="k")
    assert first[0] == again[0] == 202
    assert first[1]["id"] == again[1]["id"]
    assert api.ask("POST", "/v1/jobs", TWO_MEGABYTES[:-1] + b" }", Idempotency_Key="k")[0] == 202
    other = TWO_MEGABYTES.replace(b"x", b"y", 1)
    assert api.ask("POST", "/v1/jobs", other, Idempotency_Key="k")[0] == 409


def _process_of(api: Api) -> psutil.Process:
    (found,) = (
        process
        for process in psutil.Process(api.process.pid).children(recursive=True)
        if any("large_body_process" in word for word in process.cmdline())
    )
    return found


def test_a_killed_large_body_process_is_replaced(own_api: Api, stage: Any) -> None:
    assert own_api.ask("POST", "/v1/jobs", TWO_MEGABYTES)[0] == 202
    for _ in range(5):
        # The next body comes while it ends.
        _process_of(own_api).kill()
        assert own_api.ask("POST", "/v1/jobs", TWO_MEGABYTES)[0] == 202
    own_api.end()


def test_the_large_body_process_ends_with_its_server(own_api: Api, stage: Any) -> None:
    assert own_api.ask("POST", "/v1/jobs", TWO_MEGABYTES)[0] == 202
    process = _process_of(own_api)
    for one in [
        *psutil.Process(own_api.process.pid).children(),
        psutil.Process(own_api.process.pid),
    ]:
        one.kill()
    stage.until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    own_api.process.communicate()


def test_one_large_body_too_many_is_503(api: Api, stage: Any) -> None:
    assert api.ask("POST", "/v1/jobs", TWO_MEGABYTES)[0] == 202
    frozen = _process_of(api)
    frozen.suspend()
    statuses: list[int] = []
    orders = [
        threading.Thread(
            target=lambda: statuses.append(api.ask("POST", "/v1/jobs", TWO_MEGABYTES)[0])
        )
        for _ in range(6)
    ]
    for order in orders:
        order.start()
    stage.until(lambda: statuses == [503, 503])
    frozen.resume()
    for order in orders:
        order.join()
    assert sorted(statuses) == [202] * 4 + [503] * 2


def test_the_collector_is_paused_until_the_last_thread_has_left() -> None:
    pause = GcPause()
    with pause:
        with pause:
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="x"), pause:
        raise ValueError("x")
    assert gc.isenabled()
