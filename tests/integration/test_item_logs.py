"""What items print and log is kept with their records, and named on the console."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchpool.backends.facts import BACKENDS
from batchpool.model import START_METHODS
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
ITEMS = 6
WAYS = [
    (name, method)
    for name, facts in BACKENDS.items()
    if facts.is_supported
    for method in (START_METHODS if facts.start_method else (None,))
]


@pytest.fixture(scope="module")
def crew_environ() -> dict[str, str]:
    return {"BATCHPOOL_TASKS_DIR": TASKS, "BATCHPOOL_LOG_LEVEL": "info"}


@pytest.fixture
def console(crew: StackProcesses, tmp_path: Path) -> Iterator[Path]:
    """What a worker of the test's own writes."""
    crew.console = tmp_path / "console"
    crew.start_workers(1)
    yield crew.console


def logs(crew: StackProcesses, **body: Any) -> list[Any]:
    return [record["log"] for record in crew.records(crew.run(**body)["id"])]


@pytest.mark.parametrize(
    ("backend", "method"), WAYS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_what_an_item_prints_is_kept_with_its_record(
    shared_crew: StackProcesses, backend: str, method: str | None
) -> None:
    way = {"backend": backend} | ({"start_method": method} if method else {})
    found = logs(shared_crew, task="talk", count=ITEMS, concurrency=3, **way)
    for item, log in enumerate(found):
        lines = log.splitlines()
        assert lines[:2] == [f"begin {item}", f"error {item}"], log
        assert lines[2].endswith(f" INFO talking: info {item}"), log
        assert lines[3].endswith(f" WARNING talking: warning {item}"), log
        assert lines[4] == "in two lines"
        assert f"UserWarning: warned {item}" in log and f"\nkept {item}\n" in log
        last = f"ünïcode \\udc80 \x00 {item}"
        # `auto` may choose coroutines.
        is_async = backend == "asyncio" or (backend == "auto" and "task of" in log)
        assert log.endswith(f"{last}task of {item}\nthread of {item}\n" if is_async else last)
        assert "unheard" not in log


@pytest.mark.parametrize("backend", ["sequential", "process-pool", *full("multiprocessing")])
def test_streams_may_be_replaced_closed_and_asked(
    shared_crew: StackProcesses, backend: str
) -> None:
    ways = ["replaced", "restored", "thread", "binary", "handler", "closed"]
    job = shared_crew.run(task="talk-oddly", items=ways, backend=backend, concurrency=1)
    assert job["state"] == "succeeded", job
    found = {record["item"]: record["log"] for record in shared_crew.records(job["id"])}
    assert found == dict.fromkeys(["replaced", "restored", "thread", "binary"], "after\n") | {
        "handler": "by a handler of the task\n",
        "closed": "before\n",
    }
    assert logs(shared_crew, task="talk-oddly", items=ways[:1], backend=backend) == ["after\n"]


def test_logs_are_not_kept_if_the_order_says_so(shared_crew: StackProcesses) -> None:
    for backend in ("thread-pool", "process-pool"):
        job = shared_crew.run(task="talk", count=2, backend=backend, logs=False)
        assert job["spec"]["logs"] is False
        assert [record["log"] for record in shared_crew.records(job["id"])] == [None, None]


@pytest.mark.parametrize("backend", ["thread-pool", "process-pool"])
def test_a_long_log_is_cut_in_its_middle(shared_crew: StackProcesses, backend: str) -> None:
    items = [{"lines": 1000}, {"lines": 0}, {"lines": 81}]
    long, none, short = logs(shared_crew, task="flood", items=items, backend=backend)
    assert none is None and len(short) == 8100 and "cut" not in short
    assert 8100 < len(long.encode()) <= 8192
    assert long.startswith("000000 x") and long.endswith("x\n")
    assert "\n000999 x" in long and f"{100_000 - 8112:,} bytes of the log were cut here" in long


def test_all_attempts_are_in_the_log(shared_crew: StackProcesses, tmp_path: Path) -> None:
    for backend in ("thread-pool", "process-pool"):
        items = [str(tmp_path / backend)]
        (log,) = logs(shared_crew, task="talk-and-fail", items=items, backend=backend, retries=2)
        between = "--- next attempt ---\n"
        assert log == f"try 0\n{between}try 1\n{between}try 2\n"


def test_a_batch_keeps_one_mebibyte_half_of_it_for_failed_items(
    shared_crew: StackProcesses,
) -> None:
    items = [{"lines": 80, "fails": index >= 100} for index in range(200)]
    job = shared_crew.run(task="flood", items=items, backend="process-pool", concurrency=2)
    records = shared_crew.records(job["id"])
    full = [record["log"].startswith("000000") for record in records]
    assert sum(full[:100]) == (1 << 19) // 8000
    assert sum(full) == (1 << 20) // 8000
    assert {
        record["log"] for record, is_full in zip(records, full, strict=True) if not is_full
    } == {"… not kept: the logs of the batch had reached 1 MiB …\n"}


def test_records_with_a_log_are_found(shared_crew: StackProcesses) -> None:
    items = [{"lines": int(index in (3, 5000))} for index in range(6000)]
    job = shared_crew.run(task="flood", items=items, backend="sequential", batches=2)
    path = f"/v1/jobs/{job['id']}/records"
    for query in ("has_log=1", "has_log=1&fields=index", "has_log=1&state=succeeded"):
        found = shared_crew.stage.get(f"{path}?{query}")["records"]
        assert [record["index"] for record in found] == [3, 5000], query
    assert found[0]["log"].startswith("000000 x")


def test_the_page_shows_a_log_as_text(shared_crew: StackProcesses) -> None:
    job = shared_crew.run(task="talk", count=1, backend="sequential")["id"]
    page = shared_crew.stage.http.get(f"/jobs/{job}?item=0").get_data(as_text=True)
    assert "ünïcode \\udc80 \\x00 0</pre>" in page and "\x00" not in page


def test_each_line_on_the_console_names_job_and_item(crew: StackProcesses, console: Path) -> None:
    for backend in ("thread-pool", "process-pool"):
        job = crew.run(task="talk", count=2, backend=backend, concurrency=2, logs=False)["id"]

        def lines(job: str = job) -> list[str] | None:
            found = [line for line in console.read_text().splitlines() if job in line]
            return found if len(found) == 18 else None

        found = wait_until(lines, 10, "all lines on the console")
        texts = {line.split(" ", 2)[2] for line in found}
        for item in range(2):
            name = f"{job}[{item}]"
            assert texts >= {
                f"INFO stdout: {name} begin {item}",
                f"INFO stderr: {name} error {item}",
                f"INFO talking: {name} info {item}",
                f"WARNING talking: {name} warning {item}",
                f"WARNING talking: {name} in two lines",
                f"INFO stdout: {name} ünïcode \\udc80 \x00 {item}",
            }


@pytest.mark.parametrize("backend", ["process-pool", "multiprocessing"])
def test_a_killed_item_has_what_it_printed(shared_crew: StackProcesses, backend: str) -> None:
    way = {"backend": backend, "task_timeout_s": 0.3}
    job = shared_crew.run(task="talk-and-wait", items=[0, 1], **way)
    records = shared_crew.records(job["id"])
    assert [record["state"] for record in records] == ["succeeded", "timeout"]
    assert [record["log"] for record in records] == ["waits 0\n", "waits 1\n"]


@pytest.mark.parametrize("backend", ["process-pool", "multiprocessing", "thread-pool"])
def test_an_item_that_ends_its_process_has_what_it_printed(
    shared_crew: StackProcesses, backend: str
) -> None:
    job = shared_crew.run(task="talk-and-crash", items=[0, 1], backend=backend, concurrency=1)
    assert [record["state"] for record in shared_crew.records(job["id"])] == ["crashed"] * 2
    assert [record["log"] for record in shared_crew.records(job["id"])] == ["crashes\n"] * 2
    assert logs(shared_crew, task="talk", items=[0], backend=backend)[0].startswith("begin 0\n")


def test_a_batch_that_is_taken_over_keeps_the_logs_of_both_owners(crew: StackProcesses) -> None:
    crew.environ |= {"BATCHPOOL_LEASE_S": "1"}
    crew.start("batchpool.reconciler")
    (first,) = crew.start_workers(1)
    items = [{"lines": 70, "pause_s": 0.02} for _ in range(100)]
    job = crew.stage.post(task="flood", items=items, backend="sequential")["id"]
    crew.wait_running(job, recorded=20)
    first.kill()
    first.wait()
    crew.start_workers(1)
    assert crew.finish(job, 60)["state"] == "succeeded"
    records = crew.records(job)
    assert len({record["epoch"] for record in records}) == 2
    kept = [record for record in records if record["log"].startswith("000000")]
    # What the first owner has used of the room is not free again.
    assert len(kept) == (1 << 19) // 7000
    assert {record["epoch"] for record in kept} == {1, 2}
