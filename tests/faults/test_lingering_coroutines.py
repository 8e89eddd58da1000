"""A batch ends soon after its last record, whatever its coroutines left in the loop."""

from pathlib import Path

from tests.support.stack_processes import StackProcesses
from tests.support.waiting import check_time

TASKS = str(Path(__file__).parent / "tasks")


def test_what_coroutines_leave_does_not_delay_the_end(crew: StackProcesses) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    crew.run(task="echo", count=1, backend="asyncio")
    for what in ("executor", "stubborn", "pending", "stop", "exit"):
        params = {"what": what}
        job = crew.run(task="linger", params=params, count=3, backend="asyncio", concurrency=3)
        assert (job["state"], job["sum"]) == ("succeeded", 3), what
        check_time(f"the end of a batch that left: {what}", job["timing"]["wall_s"], 2.0)
        after = crew.run(task="echo", count=3, backend="asyncio")
        assert (after["state"], after["sum"]) == ("succeeded", 3), what


def test_a_coroutine_that_cancels_all_others_fails_those_items_at_most(
    crew: StackProcesses,
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    params = {"what": "cancels"}
    job = crew.run(task="linger", params=params, count=40, backend="asyncio", concurrency=4)
    records = crew.records(job["id"])
    failed = [record["error"]["type"] for record in records if record["state"] != "succeeded"]
    assert len(records) == 40
    assert len(failed) <= 3
    assert set(failed) <= {"asyncio.exceptions.CancelledError"}
    params = {"what": "cancelled"}
    job = crew.run(task="linger", params=params, count=3, backend="asyncio", concurrency=1)
    assert (job["state"], job["sum"]) == ("succeeded", 3)
