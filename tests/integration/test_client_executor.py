"""An executor of the service and one of threads do the same with the same functions."""

import asyncio
import concurrent.futures
import logging
import os
import re
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from batchpool.client import Client
from batchpool.client.errors import InvalidRequest
from batchpool.stack.local_stack import LocalStack
from tests.integration.tasks import calls
from tests.support.waiting import check_time, wait_until

Start = Callable[[int], Executor]


@pytest.fixture(params=["threads", "jobs"])
def start(request: pytest.FixtureRequest, calls_stack: LocalStack) -> Iterator[Start]:
    """Start an executor that runs so many calls at once, each in a thread or each in a job."""
    with ExitStack() as opened:
        if request.param == "threads":
            yield lambda workers: opened.enter_context(ThreadPoolExecutor(workers))
            return
        client = opened.enter_context(Client(calls_stack.url))

        def start_jobs(workers: int) -> Executor:
            executor = client.executor(max_jobs=workers, concurrency=8, batches=1)
            return opened.enter_context(executor)

        yield start_jobs


@pytest.fixture
def doors(tmp_path: Path) -> Iterator["Doors"]:
    found = Doors(tmp_path)
    yield found
    # Whatever a failed test left waiting ends.
    found.open_all()


class Doors:
    """Files that calls wait for; each call makes another one when it begins."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def item(self, name: str) -> dict[str, str]:
        self._names.add(name)
        return {"until": self._path(name), "begun": self._path(f"{name}-begun")}

    def open(self, name: str) -> None:
        Path(self._path(name)).touch()

    def open_all(self) -> None:
        for name in self._names:
            self.open(name)

    def has_begun(self, name: str) -> bool:
        return os.path.exists(self._path(f"{name}-begun"))

    def _path(self, name: str) -> str:
        return str(self._folder / name)

    def submit(self, executor: Executor, name: str) -> Future[str]:
        """Submit a call that waits, and return once it runs."""
        future = executor.submit(calls.wait_for_file, self.item(name))
        wait_until(lambda: self.has_begun(name), 10, "the call has begun")
        return future


# -- results and exceptions


def test_a_future_has_the_value_of_its_call(start: Start) -> None:
    executor = start(4)
    futures = [executor.submit(calls.double, item) for item in (3, "ab", [1, None], 2.5)]
    assert [future.result(30) for future in futures] == [6, "abab", [1, None, 1, None], 5.0]
    assert all(future.done() and not future.running() for future in futures)
    assert futures[0].exception() is None


@pytest.mark.parametrize("name", [name for name in calls.RAISED if name not in ("own", "unicode")])
def test_a_builtin_exception_is_raised_as_itself(start: Start, name: str) -> None:
    with pytest.raises(Exception) as here:
        calls.fail(name)
    future = start(1).submit(calls.fail, name)
    with pytest.raises(type(here.value)) as there:
        future.result(30)
    assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))
    if not isinstance(there.value, OSError):
        assert there.value.args == here.value.args
    assert future.exception() is there.value
    text = "".join(traceback.format_exception(there.value))
    assert re.search(r'calls\.py", line \d+, in fail\n +return RAISED\[item\]\(\)', text), text


def test_what_is_raised_by_one_call_is_no_other_ones(start: Start) -> None:
    executor = start(2)
    futures = [executor.submit(calls.inverse, item) for item in (1, 0, 4)]
    assert futures[0].result(30) == 1.0
    assert isinstance(futures[1].exception(30), ZeroDivisionError)
    assert futures[2].result(30) == 0.25


def test_a_wait_for_a_result_that_is_over_is_a_timeout(start: Start, doors: Doors) -> None:
    future = doors.submit(start(1), "a")
    for ask in (future.result, future.exception):
        with pytest.raises(TimeoutError):
            ask(timeout=0.01)
    assert future.running() and not future.done()
    doors.open("a")
    assert future.result(30).endswith("/a")


@pytest.mark.parametrize("batches", ["2", None, 0, 1.5, True])
def test_what_the_service_refuses_is_the_exception_of_a_call(
    calls_stack: LocalStack, batches: Any
) -> None:
    with Client(calls_stack.url) as client, client.executor(batches=batches) as executor:
        with pytest.raises(InvalidRequest, match="batches"):
            executor.submit(calls.double, 1).result(30)


# -- map


def test_map_gives_values_in_the_order_of_the_items(start: Start) -> None:
    assert list(start(4).map(calls.double, range(100), timeout=60)) == [*range(0, 200, 2)]


def test_map_takes_its_items_at_once_and_gives_each_value_when_it_is_there(
    start: Start, doors: Doors
) -> None:
    taken = []

    def items() -> Iterator[Any]:
        for name in ("a", "b"):
            taken.append(name)
            yield doors.item(name)

    found = start(4).map(calls.wait_for_file, items())
    assert taken == ["a", "b"]
    doors.open("a")
    assert next(found).endswith("/a")
    doors.open("b")
    assert next(found).endswith("/b")
    with pytest.raises(StopIteration):
        next(found)


def test_map_that_takes_too_long_is_a_timeout(start: Start, doors: Doors) -> None:
    found = start(2).map(calls.wait_for_file, [doors.item("a")], timeout=0.05)
    with pytest.raises(TimeoutError):
        next(found)
    doors.open("a")


def test_map_raises_in_the_place_of_the_item_and_ends(start: Start) -> None:
    found = start(2).map(calls.inverse, [2, 0, 4])
    assert next(found) == 0.5
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert list(found) == []


def test_map_of_nothing_is_empty(start: Start) -> None:
    assert list(start(1).map(calls.double, [])) == []


# -- wait, as_completed, callbacks


def test_wait_returns_at_the_first_future_that_is_done(start: Start, doors: Doors) -> None:
    executor = start(2)
    a, b = doors.submit(executor, "a"), doors.submit(executor, "b")
    doors.open("b")
    assert wait([a, b], 30, FIRST_COMPLETED) == ({b}, {a})
    doors.open("a")
    assert wait([a, b], 30, ALL_COMPLETED) == ({a, b}, set())


def test_wait_returns_at_the_first_exception(start: Start, doors: Doors) -> None:
    executor = start(3)
    a = doors.submit(executor, "a")
    fine, bad = executor.submit(calls.inverse, 2), executor.submit(calls.inverse, 0)
    done, open_ = wait([a, fine, bad], 30, FIRST_EXCEPTION)
    assert bad in done and open_ <= {a, fine} and a in open_
    doors.open("a")
    assert wait([a, fine, bad], 30).not_done == set()


def test_wait_that_is_over_returns_what_there_is(start: Start, doors: Doors) -> None:
    a = doors.submit(start(1), "a")
    assert wait([a], 0.01) == (set(), {a})
    doors.open("a")


def test_as_completed_gives_futures_as_they_end(start: Start, doors: Doors) -> None:
    executor = start(3)
    futures = {name: doors.submit(executor, name) for name in ("a", "b", "c")}
    found = as_completed(futures.values(), 60)
    for name in ("c", "a", "b"):
        doors.open(name)
        assert next(found) is futures[name]
    assert list(found) == []


def test_as_completed_that_is_over_is_a_timeout(start: Start, doors: Doors) -> None:
    future = doors.submit(start(1), "a")
    with pytest.raises(TimeoutError):
        next(as_completed([future], 0.01))
    doors.open("a")


def test_callbacks_are_called_once_each_in_their_order(
    start: Start, doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[Any] = []

    def raise_it(future: Future[Any]) -> None:
        called.append(future)
        raise ValueError("of the callback")

    future = doors.submit(start(1), "a")
    future.add_done_callback(raise_it)
    future.add_done_callback(lambda found: called.append(found.result()))
    assert called == []
    with caplog.at_level(logging.ERROR):
        doors.open("a")
        value = future.result(30)
        wait_until(lambda: len(called) == 2, 10, "both callbacks")
    future.add_done_callback(called.append)
    assert called == [future, value, future]
    assert "of the callback" in caplog.text


def test_a_callback_that_leaves_takes_no_value_from_other_calls(
    start: Start, doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    def leave(_: Future[Any]) -> None:
        raise SystemExit("of the callback")

    executor = start(4)
    futures = [executor.submit(calls.wait_for_file, doors.item("a")) for _ in range(3)]
    futures[0].add_done_callback(leave)
    doors.open("a")
    for future in futures:
        assert future.result(30).endswith("/a")
    wait_until(lambda: "of the callback" in caplog.text, 10, "the log of it")


def test_a_callback_may_submit(start: Start) -> None:
    executor = start(1)
    later: list[Future[int]] = []
    first = executor.submit(calls.double, 1)
    first.add_done_callback(lambda done: later.append(executor.submit(calls.double, done.result())))
    wait_until(lambda: later, 30, "the second call")
    assert later[0].result(30) == 4


def test_an_event_loop_may_await_a_call(start: Start) -> None:
    executor = start(2)

    async def call_both() -> list[Any]:
        loop = asyncio.get_running_loop()
        both = [loop.run_in_executor(executor, calls.double, item) for item in (3, "a")]
        return await asyncio.gather(*both)

    assert asyncio.run(call_both()) == [6, "aa"]


# -- cancel and shutdown


def test_a_call_can_be_cancelled_until_it_is_on_its_way(start: Start, doors: Doors) -> None:
    executor = start(1)
    first = doors.submit(executor, "a")
    second = executor.submit(calls.wait_for_file, doors.item("b"))
    called: list[Any] = []
    second.add_done_callback(called.append)
    assert not first.cancel() and first.running()
    assert second.cancel() and second.cancel()
    assert second.cancelled() and second.done() and called == [second]
    with pytest.raises(CancelledError):
        second.result(0)
    third = executor.submit(calls.double, 1)
    doors.open("a")
    assert third.result(30) == 2
    # Waiting threads hear of a cancelled call when its turn comes.
    assert wait([first, second, third], 30).not_done == set()
    assert set(as_completed([first, second, third], 30)) == {first, second, third}
    assert not doors.has_begun("b")
    assert not third.cancel()


def test_nothing_is_taken_after_shutdown(start: Start) -> None:
    executor = start(1)
    future = executor.submit(calls.double, 1)
    executor.shutdown()
    assert future.done()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(calls.double, 1)
    with pytest.raises(RuntimeError):
        executor.map(calls.double, [1])
    executor.shutdown()


def test_shutdown_without_waiting_lets_all_calls_run(start: Start, doors: Doors) -> None:
    executor = start(1)
    first = doors.submit(executor, "a")
    second = executor.submit(calls.double, 2)
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(calls.double, 3)
    assert not first.done()
    doors.open("a")
    assert second.result(30) == 4


def test_shutdown_cancels_what_is_not_on_its_way(start: Start, doors: Doors) -> None:
    executor = start(1)
    first = doors.submit(executor, "a")
    others = [executor.submit(task, 2) for task in (calls.double, calls.same, calls.double)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(other.cancelled() for other in others)
    doors.open("a")
    executor.shutdown()
    assert first.done() and not first.cancelled()


def test_the_end_of_the_with_block_waits(start: Start, doors: Doors) -> None:
    with start(1) as executor:
        future = doors.submit(executor, "a")
        other = executor.submit(calls.double, 1)
        threading.Timer(0.1, doors.open, ["a"]).start()
    assert future.done() and other.result(0) == 2


AT_EXIT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from batchpool.client import Client
from tests.integration.tasks import calls

kind, url = sys.argv[1:]
executor = ThreadPoolExecutor(1) if kind == "threads" else Client(url).executor(max_jobs=1)
for item in range(3):
    future = executor.submit(calls.double if item % 2 else calls.same, item)
    future.add_done_callback(lambda done: print(done.result(), flush=True))
"""


@pytest.mark.parametrize("kind", ["threads", "jobs"])
def test_the_interpreter_waits_for_pending_futures(calls_stack: LocalStack, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT, kind, calls_stack.url],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    # Calls of one task make one job, so that of other tasks they come in another order.
    assert (sorted(done.stdout.split()), done.stderr) == (["0", "2", "2"], "")


# -- many


def test_ten_thousand_futures(start: Start) -> None:
    begun = time.monotonic()
    with start(8) as executor:
        futures = [executor.submit(calls.same, item) for item in range(10_000)]
        assert [future.result(60) for future in futures] == [*range(10_000)]
    check_time("10,000 futures", time.monotonic() - begun, 5)


def test_many_threads_may_submit_to_one_executor(start: Start) -> None:
    executor = start(4)
    found: dict[int, list[int]] = {}

    def use(number: int) -> None:
        items = range(number * 1000, number * 1000 + 50)
        found[number] = list(executor.map(calls.double, items, timeout=60))

    threads = [threading.Thread(target=use, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(16):
        assert found[number] == [2 * item for item in range(number * 1000, number * 1000 + 50)]


def test_it_is_an_executor(start: Start) -> None:
    assert isinstance(start(1), concurrent.futures.Executor)
