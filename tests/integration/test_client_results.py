"""What the client makes of a job: values in order, grouped failures, retries, tables, futures."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, as_completed
from pathlib import Path
from typing import Any

import httpx
import pytest

from batchpool.client import (
    BatchpoolError,
    Client,
    Conflict,
    InvalidInput,
    InvalidRequest,
    ItemsFailed,
    Job,
    RemoteTraceback,
    TaskFailed,
)
from batchpool.stack.local_stack import LocalStack
from batchpool.system.process_tree import children_of
from tests.integration.api_process import Api
from tests.integration.tasks import calls
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import check_time, wait_until

TASKS = Path(calls.__file__).parent


@pytest.fixture
def client(calls_stack: LocalStack) -> Iterator[Client]:
    with Client(calls_stack.url) as client:
        yield client


# -- several jobs


def test_several_jobs_are_submitted_at_once_and_refused_one_by_one(client: Client) -> None:
    orders = [{"task": "echo", "count": 3}, {"task": "echo"}, {"task": "echo", "items": [5]}]
    first, refused, last = client.submit_many(orders, idempotency_key="k")
    assert isinstance(first, Job) and isinstance(last, Job)
    assert [client.wait(job).sum for job in (first, last)] == [3, 5]
    assert isinstance(refused, InvalidRequest) and list(refused.fields) == ["count"]
    again = client.submit_many(orders, idempotency_key="k")
    assert [job.id for job in again if isinstance(job, Job)] == [first.id, last.id]
    with pytest.raises(InvalidRequest, match="must have 1 to 1000 jobs"):
        client.submit_many([])


# -- map


def test_map_gives_the_first_values_before_the_job_has_ended(
    client: Client, tmp_path: Path
) -> None:
    late = {"until": str(tmp_path / "late")}
    ready = {"until": str(TASKS)}
    found = client.map(calls.wait_for_file, [ready, ready, late], concurrency=1)
    assert [next(found), next(found)] == [str(TASKS)] * 2
    (job,) = client.jobs(task="calls.wait", state="running")
    assert not client.job(job).done
    Path(late["until"]).touch()
    assert list(found) == [late["until"]]


def test_map_keeps_the_order_of_the_items_over_batches(client: Client) -> None:
    assert list(client.map("calls.double", range(500), batches=7)) == [*range(0, 1000, 2)]
    assert list(client.map("calls.double", iter(()))) == []


def test_map_raises_all_failures_as_one_group(client: Client) -> None:
    names = ["key", "value", "own", "value", "value"]
    found = client.map(calls.fail, names, backend="sequential")
    with pytest.raises(ItemsFailed) as failed:
        next(found)
    counts = {"value": 3}
    assert list(failed.value.counts.values()) == [3, 1, 1], counts
    assert failed.value.counts["ValueError"] == 3
    assert str(failed.value).startswith(f"5 of 5 items of job {failed.value.job_id} have no value")
    assert "3 × ValueError" in str(failed.value)
    key, value, own = failed.value.exceptions
    assert isinstance(key, KeyError) and key.args == ("gone",)
    assert isinstance(value, ValueError) and isinstance(own, TaskFailed)
    assert own.error_type.endswith("calls.SoldOut") and own.message == "no apples"
    assert isinstance(own.__cause__, RemoteTraceback)
    assert f"item 2 of job {failed.value.job_id}" in str(own.__cause__)
    assert client.job(failed.value.job_id).state == "failed"


def test_map_gives_the_values_before_the_first_failure(client: Client) -> None:
    found = client.map("calls.inverse", [1, 2, 0, 4])
    assert [next(found), next(found)] == [1.0, 0.5]
    with pytest.raises(ItemsFailed) as failed:
        next(found)
    with pytest.raises(StopIteration):
        next(found)
    values = client.job(failed.value.job_id).values("skip")
    assert list(values) == [1.0, 0.5, 0.25]


def test_map_may_give_exceptions_in_place_of_values(client: Client) -> None:
    one, error, quarter = client.map("calls.inverse", [1, 0, 4], return_exceptions=True)
    assert (one, quarter) == (1.0, 0.25)
    assert isinstance(error, ZeroDivisionError) and str(error) == "division by zero"


def test_who_leaves_a_map_early_cancels_its_job(client: Client, tmp_path: Path) -> None:
    items = [{"until": str(TASKS)}, {"until": str(tmp_path / "never")}]
    labels = {"test": "leaves"}
    for _ in client.map("calls.wait", items, backend="process-pool", labels=labels):
        break
    (job,) = client.jobs(label="test=leaves")
    assert client.wait(job, 30).state == "cancelled"


def test_who_interrupts_a_map_cancels_its_job(client: Client, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    item = {"until": str(tmp_path / "never"), "begun": str(begun)}

    def interrupt() -> None:
        wait_until(begun.exists, 20, "the call runs")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    found = client.map("calls.wait", [item], backend="process-pool", labels={"test": "interrupts"})
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        next(found)
    thread.join()
    (job,) = client.jobs(label="test=interrupts")
    assert client.wait(job, 30).state == "cancelled"


def test_map_refuses_at_once(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="unknown task"):
        client.map("calls.none", [1])
    with pytest.raises(TypeError, match="not a registered task"):
        client.map(len, [1])
    with pytest.raises(InvalidInput, match=r"items\[1\]"):
        client.map("calls.same", [1, float("nan")])


# -- a job and its retries


@pytest.fixture
def tried(client: Client, tmp_path: Path) -> tuple[Job, list[Path]]:
    """A job whose items 1 and 3 of 5 have failed, and the files that they need."""
    files = [tmp_path / "one", tmp_path / "three"]
    needs = {1: files[0], 3: files[1]}
    items = [{"value": 10 * n, "needs": str(needs.get(n, TASKS))} for n in range(5)]
    return client.run("calls.fail-unless", items=items, wait_s=60), files


def retried(client: Client, job: Job, file: Path) -> Job:
    file.touch()
    return client.wait(job.retry(), 60)


def test_values_of_a_retry_are_merged_by_the_index_of_the_first_job(
    client: Client, tried: tuple[Job, list[Path]]
) -> None:
    first, files = tried
    assert list(first.values("skip")) == [0, 20, 40]
    second = retried(client, first, files[1])
    assert list(second.values("skip")) == [30]
    assert list(second.values("skip", merged=True)) == [0, 20, 30, 40]
    assert list(second.values("null", merged=True)) == [0, None, 20, 30, 40]
    with pytest.raises(BatchpoolError, match="1 of 5 items have no value"):
        next(second.values(merged=True))
    third = retried(client, second, files[0])
    assert list(third.values()) == [10]
    assert list(third.values(merged=True)) == [0, 10, 20, 30, 40]
    assert list(client.job(first).values("null", merged=True)) == [0, None, 20, None, 40]
    with pytest.raises(Conflict):
        next(first.values())


def test_a_retry_of_some_causes_cannot_be_merged(client: Client) -> None:
    first = client.run("calls.fail", items=["value", "key", "value"], wait_s=60)
    form = {"type": "KeyError"}
    groups = {group["type"]: group for group in first.errors()}
    frame = groups["KeyError"]["frame"]
    form |= {name: str(frame[name]) for name in ("file", "line", "function")}
    answer = httpx.post(
        f"{client.url}/jobs/{first.id}/retry", data=form, headers={"Accept": "text/html"}
    )
    second = client.wait(answer.headers["Location"].rpartition("/")[2], 60)
    assert second["spec"]["retry_of"] == first.id
    with pytest.raises(BatchpoolError, match="retried 1 of the 3 items"):
        next(second.values("skip", merged=True))


def test_the_failures_of_a_job_are_grouped(client: Client) -> None:
    job = client.run("calls.fail", items=["value", "key", "value"], wait_s=60)
    by_type = {group["type"]: group for group in job.errors()}
    assert {name: group["count"] for name, group in by_type.items()} == {
        "ValueError": 2,
        "KeyError": 1,
    }
    assert by_type["ValueError"]["indices"] == [0, 2]
    assert client.run("calls.same", count=1, wait_s=60).errors() == []


def test_a_notebook_shows_a_job_with_its_timeline(client: Client) -> None:
    job = client.run("calls.same", count=3, wait_s=60)
    html = job._repr_html_()
    assert html.startswith(f"<code>&lt;Job {job.id} succeeded 3/3 items")
    assert re.search(r'<img alt="Timeline" src="data:image/svg\+xml;base64,[\w+/=]+">$', html)


def test_a_notebook_shows_a_job_whose_timeline_cannot_be_loaded(client: Client) -> None:
    job = client.run("calls.same", count=1, wait_s=60)
    client.delete(job)
    assert job._repr_html_() == f"<code>&lt;Job {job.id} succeeded 1/1 items, sum 0&gt;</code>"
    assert Job(job.data)._repr_html_() == job._repr_html_()


def test_a_job_of_a_document_alone_has_no_results(client: Client) -> None:
    with pytest.raises(BatchpoolError, match=r"has no client here: client\.job\('j1'\)"):
        Job({"id": "j1", "state": "running", "sum": 0, "progress": {}}).errors()


def test_the_records_of_a_job_become_a_frame(client: Client) -> None:
    pytest.importorskip("pandas", reason="pandas is missing: pip install pandas")
    job = client.run("calls.inverse", items=[1, 0, 4], wait_s=60)
    frame = job.to_pandas()
    assert list(frame.index) == [0, 1, 2]
    assert list(frame["state"]) == ["succeeded", "failed", "succeeded"]
    assert frame["value"].sum() == 1.25
    assert frame["error_type"][1] == "ZeroDivisionError"


# -- futures


def test_calls_of_some_milliseconds_are_one_job(client: Client) -> None:
    with client.executor(labels={"test": "gathered"}, backend="sequential") as executor:
        futures = [executor.submit(calls.double, item) for item in range(50)]
        futures += [executor.submit("calls.same", item) for item in range(50)]
        assert [future.result(60) for future in futures] == [*range(0, 100, 2), *range(50)]
    jobs = list(client.jobs(label="test=gathered"))
    assert {job["spec"]["task"] for job in jobs} == {"calls.double", "calls.same"}
    assert len(jobs) <= 6


def test_values_are_delivered_before_their_job_has_ended(client: Client, tmp_path: Path) -> None:
    never = tmp_path / "late"
    with client.executor("calls.wait", concurrency=4) as executor:
        waits = [executor.submit("calls.wait", {"until": str(never)})]
        fast = [executor.submit("calls.wait", {"until": str(TASKS)}) for _ in range(3)]
        assert len(list(as_completed(fast, 60))) == 3
        assert not waits[0].done()
        never.touch()


def test_the_batches_of_a_job_are_at_most_its_calls(client: Client) -> None:
    with client.executor("calls.same", batches=3) as executor:
        assert executor.submit("calls.same", 1).result(60) == 1
        assert sorted(executor.map("calls.same", range(9))) == [*range(9)]


def test_what_differs_from_threads_is_as_documented(client: Client) -> None:
    with client.executor() as executor:
        assert executor.submit(calls.pair, 3).result(60) == [3, {"3": None}]
        own = executor.submit(calls.fail, "own").exception(60)
        assert isinstance(own, TaskFailed) and own.message == "no apples"
        file = executor.submit(calls.fail, "file").exception(60)
        assert isinstance(file, FileNotFoundError) and file.errno is None
        assert isinstance(executor.submit(calls.fail, "unicode").exception(60), TaskFailed)
        left = executor.submit(calls.leave, 3).exception(60)
        assert isinstance(left, TaskFailed) and left.error_type == "SystemExit"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((len, 1), "built-in function len> is not a registered task; give a function declared"),
        ((None, 1), "None is not a registered task"),
        ((Path("x"), 1), "is not a registered task"),
        (("calls.same",), "called with one item, got 0 arguments"),
        (("calls.same", 1, 2), "called with one item, got 2 arguments"),
        (("calls.double", 1), "runs task 'calls.same' only, got 'calls.double'"),
    ],
)
def test_other_calls_are_type_errors(client: Client, arguments: Any, says: str) -> None:
    with client.executor("calls.same") as executor:
        with pytest.raises(TypeError, match=re.escape(says)):
            executor.submit(*arguments)
        with pytest.raises(TypeError, match="got 0 arguments, item"):
            executor.submit("calls.same", item=1)


def test_what_cannot_be_sent_is_refused_at_the_call(client: Client) -> None:
    with client.executor("calls.same") as executor:
        for item in (float("nan"), object(), "\ud800"):
            with pytest.raises(InvalidInput, match=r"^item: "):
                executor.submit("calls.same", item)
        assert executor.submit("calls.same", 1).result(60) == 1
    with pytest.raises(InvalidInput, match=r"params\.x"):
        client.executor("calls.same", params={"x": float("inf")})
    with pytest.raises(TypeError, match="takes no 'items'"):
        client.executor("calls.same", items=[1])


def test_a_refused_job_is_the_exception_of_its_calls_only(client: Client) -> None:
    with client.executor() as executor:
        bad = executor.submit("calls.none", 1)
        assert isinstance(bad.exception(60), InvalidRequest)
        assert executor.submit("calls.same", 1).result(60) == 1


def test_a_cancelled_job_is_an_exception_of_each_call_that_has_no_value(
    client: Client, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    item = {"until": str(tmp_path / "never"), "begun": str(begun)}
    with client.executor(backend="process-pool", labels={"test": "cancelled"}) as executor:
        future = executor.submit("calls.wait", item)
        wait_until(begun.exists, 20, "the call runs")
        (job,) = client.jobs(label="test=cancelled")
        client.cancel(job)
        assert isinstance(future.exception(60), TaskFailed)
        assert future.exception(0).error_type == "cancelled"  # type: ignore[union-attr]


def test_an_api_that_comes_back_loses_no_call(
    calls_stack: LocalStack, client: Client, tmp_path: Path
) -> None:
    begun, late = tmp_path / "begun", tmp_path / "late"
    with client.executor() as executor:
        items = [{"until": str(late), "begun": str(begun)}, {"until": str(TASKS)}]
        waits = [executor.submit("calls.wait", item) for item in items]
        assert waits[1].result(60) == str(TASKS)
        futures = [executor.submit("calls.double", item) for item in range(200)]
        # Its parent starts another one on the same socket.
        for pid in children_of(calls_stack.pids()["api"]):
            os.kill(pid, signal.SIGKILL)
        futures += [executor.submit("calls.double", item) for item in range(200, 400)]
        assert [future.result(60) for future in futures] == [*range(0, 800, 2)]
        late.touch()
        assert waits[0].result(60) == str(late)


def test_calls_are_answered_where_no_stream_is_free(start_api: Any, crew: StackProcesses) -> None:
    crew.start_workers(1)
    api: Api = start_api(environ={"BATCHPOOL_API_MAX_EVENT_STREAMS": "0"})
    with (
        Client(f"http://{api.host}:{api.port}", retry_for_s=0.3) as client,
        client.executor(params={"seconds": 0.5}, concurrency=2) as executor,
    ):
        assert list(executor.map("sleep", [3, 4])) == [3, 4]


def test_an_executor_whose_api_is_gone_is_broken(start_api: Any, stage: Any) -> None:
    api: Api = start_api()
    with Client(f"http://{api.host}:{api.port}", retry_for_s=0.3) as client:
        client.ready()
        with client.executor(max_jobs=1) as executor:
            sent = executor.submit("echo", 1)
            wait_until(sent.running, 10, "the job is sent")
            waiting = [executor.submit("echo", item) for item in range(100)]
            api.end()
            begun = time.monotonic()
            for future in (sent, *waiting):
                assert isinstance(future.exception(30), BrokenExecutor)
            check_time("all futures done", time.monotonic() - begun, 3)
            assert "no answer from" in str(sent.exception())
            with pytest.raises(BrokenExecutor):
                executor.submit("echo", 1)
        assert not [each for each in threading.enumerate() if "executor" in each.name]


def test_a_forked_process_cannot_use_the_executor(client: Client) -> None:
    with client.executor() as executor:
        executor.submit("calls.same", 1).result(60)
        pid = os.fork()
        if not pid:
            try:
                executor.submit("calls.same", 1)
            except RuntimeError as error:
                os._exit(7 if "forked" in str(error) else 8)
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
